/** What the speaker's page says: by phase of the talk, and notices as `[title, help]`. */

export const SENTENCES = {
  idle: "Your words become captions, and voices, in the languages of those who listen.",
  starting: "Opening the room…",
  live: "You are live. Speak as you would to people in the room.",
  paused: "Paused. Nothing leaves this device.",
  stopped: "You have stopped. The microphone is off.",
  refused: "The room is not open to this page.",
  taken: "The microphone is off.",
};
export const ADRIFT = "Not connected: nobody hears you now.";
export const BUTTONS = { live: "Pause", paused: "Go on", starting: "One moment…" };
export const START = "Start speaking";
export const STATES = { idle: "Not started", starting: "Connecting…", live: "Live", paused: "Paused", stopped: "Stopped", refused: "Refused", taken: "Taken over" };
export const LOADING = "Getting ready: the models are being loaded. That may take a minute.";

const ANEW = "Open the speaker's link as it was printed when the server started, or ask the hosts for it.";

export const NOTICES = {
  noKey: ["This is not the speaker's link", `The address lacks its key (?key=…). ${ANEW}`],
  wrongKey: ["This is not the speaker's link", `The key in this address is not the one of this room. ${ANEW}`],
  missing: ["This room does not exist any more", "Open the link that was printed when the server started."],
  refused: ["The room refused to open", "Ask whoever runs the server to look at its log."],
  occupied: ["Somebody is speaking in this room now", "If you start, speaking goes over to you."],
  taken: ["Somebody else speaks now", "This room's speaker link was used on another device, and speaking went over to it. Start again to take it back."],
  muted: ["The microphone was muted", "By its own switch, or by the system. Switch it on again to go on."],
  gone: ["The microphone has gone", "Plug it in again, or choose another one. You go on as soon as it is there."],
  still: ["No sound comes from the microphone", "Perhaps a call has taken it, or this device has nothing to play sound on. Tap here to go on; if that does not help, stop and start again."],
  loading: ["Connected again", LOADING],
};
