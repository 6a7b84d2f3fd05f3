# syntax=docker/dockerfile:1
# One image for web, dispatcher and worker: the command says which. See compose.yaml.

FROM node:20-bookworm-slim AS frontend
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY static/src static/src
COPY templates templates
COPY dashboard dashboard
RUN mkdir -p static/dist && npm run --silent build

FROM debian:12-slim AS python
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/dragoman
COPY requirements/base.txt /tmp/base.txt
RUN /opt/dragoman/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/base.txt

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        apertium apertium-eng-cat apertium-eng-spa ca-certificates espeak-ng ffmpeg python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/dragoman --shell /usr/sbin/nologin dragoman
ENV PATH=/opt/dragoman/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=0 \
    DRAGOMAN_VAR=/var/lib/dragoman \
    DRAGOMAN_STATIC=/app/staticfiles
COPY --from=python /opt/dragoman /opt/dragoman
WORKDIR /app
COPY . .
COPY --from=frontend /src/static/dist static/dist
# The key is for this one command; the image holds none.
RUN python -m compileall -q accounts assets cli config dashboard jobs media_pipeline \
    && SECRET_KEY="$(python -c 'import secrets; print(secrets.token_hex(32))')" DRAGOMAN_VAR=/tmp/build \
        python manage.py collectstatic --no-input --verbosity 0 \
    && rm -rf /tmp/build
USER 10001
VOLUME /var/lib/dragoman
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the web server; compose.yaml switches it off for the others.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "deploy/healthcheck.py"]
ENTRYPOINT ["python", "manage.py"]
CMD ["web", "--host", "0.0.0.0"]
