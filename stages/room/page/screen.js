/** The screen: on while somebody reads or speaks, and in full screen free of controls while nothing moves. */

const IDLE_MS = 4000;

/** Keep the screen on, where the browser lets us; to be asked for anew whenever the page is seen again. */
export async function stayAwake() {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // on low battery it refuses
  }
}

export async function toggleFull() {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen({ navigationUI: "hide" });
  } catch {
    // the browser would not; nothing is lost
  }
}

/** Mark the body as `idle` while the page fills the screen and nobody does anything; `onchange()` when full screen begins or ends. */
export function restInFull(onchange) {
  let timer = 0;
  const stir = () => {
    document.body.classList.remove("idle");
    clearTimeout(timer);
    if (document.fullscreenElement) timer = setTimeout(() => document.body.classList.add("idle"), IDLE_MS);
  };
  for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) addEventListener(kind, stir, { passive: true });
  document.addEventListener("fullscreenchange", () => {
    onchange();
    stir();
  });
}
