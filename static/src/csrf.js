// The token that Django asks of every request that changes something.
export function csrfToken() {
  return document.querySelector("meta[name=csrf-token]")?.content ?? "";
}
