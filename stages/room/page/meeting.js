/** What a speaker has to know of a room beforehand: what it is called, and which languages there are. */

import { roomPath } from "/room-assets/socket.js";

/** The tag for a language that is found out by listening. */
export const AUTO = "auto";

export const LANGUAGES = [
  ["en-us", "English (US)"], ["en-gb", "English (UK)"], ["pt-br", "Português (Brasil)"], ["es-es", "Español"], ["fr-fr", "Français"],
  ["fr-ca", "Français (Canada)"], ["de-de", "Deutsch"], ["ar-sa", "العربية"], ["ar-ae", "العربية (الإمارات)"], ["ar-eg", "العربية (مصر)"],
  ["hi-in", "हिन्दी"], ["ja-jp", "日本語"], ["ko-kr", "한국어"], ["zh-cn", "中文"],
];

/** Ask once, as a listener would; `met(room)` gets what the room says of itself. Without an answer there is none. */
export function meet(met) {
  const url = new URL(`${roomPath()}/listen-socket`, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = "";
  const socket = new WebSocket(url);
  socket.onopen = () => socket.send(JSON.stringify({ type: "hello", languages: [], voice: null }));
  socket.onmessage = ({ data }) => {
    const room = parsed(data);
    if (room?.type !== "room") return;
    socket.close(1000);
    met(room);
  };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
