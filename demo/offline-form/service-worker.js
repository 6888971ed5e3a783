/** Keeps the page, so that it opens without a network. With one, the page is always the newest. */
const PAGE = ['./', './app.js']

const keep = async () => (await caches.open('page')).addAll(PAGE)

async function answer(request) {
  try {
    const fresh = await fetch(request)
    if (fresh.ok) await (await caches.open('page')).put(request, fresh.clone())
    return fresh
  } catch (error) {
    const kept = await caches.match(request)
    if (kept === undefined) throw error
    return kept
  }
}

addEventListener('install', (event) => event.waitUntil(keep()))
addEventListener('fetch', (event) => {
  const { pathname } = new URL(event.request.url)
  // What goes to the bucket is no part of the page, and old answers of it would be wrong.
  if (PAGE.some((path) => new URL(path, location.href).pathname === pathname)) event.respondWith(answer(event.request))
})
