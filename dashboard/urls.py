"""Pages for people."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from dashboard import views

urlpatterns = [
    path("favicon.ico", views.favicon),
    path("", views.job_list, name="job-list"),
    path(
        "login/",
        LoginView.as_view(template_name="dashboard/login.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("jobs/new/", views.job_new, name="job-new"),
    path("jobs/<uuid:job_id>/", views.job_page, name="job-page"),
    path("jobs/<uuid:job_id>/live/", views.job_live, name="job-live"),
    path("jobs/<uuid:job_id>/watch/", views.job_watch, name="job-watch"),
    path("jobs/<uuid:job_id>/cancel/", views.job_cancel_page, name="job-cancel"),
    path("jobs/<uuid:job_id>/retry/", views.job_retry_page, name="job-retry-page"),
]
