/** What a speaker sees of a room before speaking: whether the key is right, what the room is called, who listens. */

import { Link, roomPath } from "/room-assets/socket.js";

/** The tag for a language that is found out by listening. */
export const AUTO = "auto";

export const LANGUAGES = [
  ["en-us", "English (US)"], ["en-gb", "English (UK)"], ["pt-br", "Português (Brasil)"], ["es-es", "Español"], ["fr-fr", "Français"],
  ["fr-ca", "Français (Canada)"], ["de-de", "Deutsch"], ["ar-sa", "العربية"], ["ar-ae", "العربية (الإمارات)"], ["ar-eg", "العربية (مصر)"],
  ["hi-in", "हिन्दी"], ["ja-jp", "日本語"], ["ko-kr", "한국어"], ["zh-cn", "中文"],
];

/**
 * A link to the room that shows `key`; it is for while nobody speaks here.
 *
 * `on.room(room)` and `on.status(status)` whenever they change, `on.away()` when they are not known any more,
 * `on.refused(state, fault)` with `refused` or `missing` and what the room said.
 */
export function meeting(key, on) {
  let fault = null;
  const link = new Link(`${roomPath()}/meet-socket`, {
    open: () => link.send({ type: "hello", key }),
    message(message) {
      if (message.type === "room") on.room(message);
      else if (message.type === "room.status") on.status(message);
      else if (message.type === "error") fault = message;
    },
    state(state) {
      if (state === "refused" || state === "missing") on.refused(state, fault);
      else if (state !== "open") on.away();
    },
  });
  return link;
}
