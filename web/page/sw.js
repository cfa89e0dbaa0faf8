/**
 * The service worker: the site works without a network the second time. `export.site` puts the list of files and a digest
 * of their contents in place of the two constants, so that a new version of the site replaces all of its files at once,
 * when its last page has been closed: a page and its worker are never of two versions.
 * Models have a cache of their own (download.js).
 */
const SITE = `santacoder ${self.registration.scope} `; // another site on the same host has its own files
const VERSION = `${SITE}santacoder-VERSION`;
const FILES = [];

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(VERSION)
      .then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })))),
  );
});

self.addEventListener("activate", (event) => {
  const isOld = (name) => name.startsWith(SITE) && name !== VERSION;
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter(isOld).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== self.location.origin) return;
  const kept = caches.open(VERSION).then((cache) => cache.match(event.request, { ignoreSearch: true, ignoreVary: true }));
  event.respondWith(kept.then((found) => found ?? fetch(event.request)));
});
