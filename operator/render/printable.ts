// C0 without tab, DEL, C1, and characters that change the direction of text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text from the cluster as one line that cannot command a terminal. Messages quote databases, pods and users, and may
 * contain escape sequences.
 */
export const printable = (text: string): string => text.replace(CONTROLS, '\ufffd');
