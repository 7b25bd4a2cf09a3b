// What is attached to a message: pictures with their blurred preview until they are there, anything else as a link.

import { h, icon } from "./dom.js";

/** Pictures are shown no larger than this. */
const WIDEST_PX = 320;
const HIGHEST_PX = 320;

/** An attachment of a message. Its address is asked for when it is needed: it is good for a while only. */
export function attachmentView(attachment, app) {
  if (!attachment.upload) return plain(attachment.name || "Attachment", attachment.url);
  return attachment.content_type?.startsWith("image/") ? picture(attachment, app) : file(attachment, app);
}

function plain(name, url) {
  const safe = /^https?:\/\//u.test(url ?? "") ? url : null;
  return h(safe ? "a" : "span", { class: "file", href: safe, target: "_blank", rel: "noopener noreferrer" }, icon("file"), name);
}

function file({ upload, name, size_bytes: size }, app) {
  return h("button", {
    class: "file", type: "button", "aria-label": `Download ${name}`,
    onclick: () => app.attempt(async () => open(await address(upload, app), "_blank", "noopener")),
  }, icon("file"), h("span", { class: "file-name", text: name }), h("span", { class: "file-size", text: kilobytes(size) }));
}

function picture({ upload, name, width = 4, height = 3, preview }, app) {
  const scale = Math.min(1, WIDEST_PX / width, HIGHEST_PX / height);
  const size = { width: Math.max(48, Math.round(width * scale)), height: Math.max(48, Math.round(height * scale)) };
  const image = h("img", { class: "picture", alt: name || "A picture", decoding: "async", ...size });
  if (preview) image.src = `data:image/webp;base64,${preview}`;
  const link = h("a", { class: "picture-link is-blurred", target: "_blank", rel: "noopener" }, image);
  new IntersectionObserver(async ([entry], observer) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    try {
      link.href = await address(upload, app);
      image.addEventListener("load", () => link.classList.remove("is-blurred"), { once: true });
      image.src = link.href;
    } catch {
      link.classList.add("is-missing"); // the blurred preview and the name stay
    }
  }).observe(link);
  return link;
}

const address = async (upload, app) => (await app.upload(upload)).get.url;

function kilobytes(size) {
  if (!size) return "";
  return size < 1_000_000 ? `${Math.max(1, Math.round(size / 1000))} kB` : `${(size / 1_000_000).toFixed(1)} MB`;
}
