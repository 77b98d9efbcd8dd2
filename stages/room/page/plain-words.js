/** What the graphs of a room do, in words for whoever runs it; what is not known here keeps its own name. */

export const STAGES = {
  source: "Listens here",
  file: "Plays a recording",
  into: "Passes it on",
  ears: "Hears the speaker",
  pcm: "Adapts the sound",
  vad: "Finds the speech",
  asr: "Writes it down",
  heard: "Shows the original",
  overheard: "Passes sound on",
  transcript: "Tells the speaker",
  fed: "Takes up the talk",
  interpreter: "Interprets",
  mt: "Translates",
  shown: "Shows captions",
  noted: "Puts it in order",
  tts: "Speaks it",
  spoken: "Sends the voice",
};
const MADE = /^(\S+) (captions|voice)$/;
const GRAPHS = { recognition: "Understanding the talk", speaker: "The microphone of this machine" };

/** Whether the graph `name` is one that a room makes: of others, stages have names of their own. */
export function isKnown(name) {
  return Object.hasOwn(GRAPHS, name) || MADE.test(name);
}

/** What such a graph's stage does, of that `name` and `kind`. One within another is called `interpreter/echo`. */
export function stageWords({ name, kind }) {
  if (name === "source" && kind === "file") return STAGES.file;
  const known = name.split("/").findLast((part) => Object.hasOwn(STAGES, part));
  return known ? STAGES[known] : name;
}

/** Whether that is a recording that speaks in a room, for a rehearsal. */
export function isRecording({ name, stages = [] }) {
  return name === "speaker" && stages.some(({ kind }) => kind === "file");
}

/** A graph, such as the one named `pt-br captions`; `languages` has the names of the languages by tag. */
export function graphWords(graph, languages) {
  const { name } = graph;
  if (isRecording(graph)) return "A recording";
  if (Object.hasOwn(GRAPHS, name)) return GRAPHS[name];
  const [, tag, what] = MADE.exec(name) ?? [];
  return tag ? `${what === "voice" ? "Voice" : "Captions"} in ${languageWords(tag, languages)}` : name;
}

export function languageWords(tag, languages) {
  return Object.hasOwn(languages, tag) ? languages[tag] : tag;
}

/** `text` in at most `most` lines of `width` letters; what does not fit ends in "…". */
export function wrapped(text, width, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (longer.length <= width || !lines.at(-1)) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  const kept = lines.slice(0, most).map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
  if (lines.length > most) kept[most - 1] = `${kept[most - 1].slice(0, width - 2)} …`;
  return kept;
}

export function seconds(value) {
  if (!Number.isFinite(value)) return "–";
  const whole = Math.floor(value);
  if (whole < 60) return `${value.toFixed(1)} s`;
  const [minutes, rest] = [Math.floor(whole / 60), String(whole % 60).padStart(2, "0")];
  return minutes < 60 ? `${minutes}:${rest} min` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest} h`;
}

export function count(number, word, words = `${word}s`) {
  return `${number} ${number === 1 ? word : words}`;
}
