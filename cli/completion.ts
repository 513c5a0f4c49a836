import type { Command, Option } from 'commander';

/** The command by which a shell asks for completions of a word; kubectl's own name for it. */
export const COMPLETE = '__complete';

/**
 * Completions of the last word: commands, options, and the values of options with a fixed set of them.
 *
 * @param words after the program's name; the last one is being typed and may be empty
 */
export function complete(program: Command, words: readonly string[]): string[] {
  const [name = '', ...rest] = words;
  const current = rest.at(-1);
  if (current === undefined)
    return program.commands.map((command) => command.name()).filter((one) => one.startsWith(name));
  const command = program.commands.find((candidate) => candidate.name() === name);
  if (command === undefined) return [];
  return candidatesOf(command, rest.slice(0, -1), current).filter((one) => one.startsWith(current));
}

function candidatesOf({ options }: Command, former: readonly string[], current: string): readonly string[] {
  const names = ({ long, short }: Option) => [long, short].filter((name) => name !== undefined);
  const awaiting = options.find((option) => option.required && names(option).includes(former.at(-1) ?? ''));
  if (awaiting !== undefined) return awaiting.argChoices ?? [];
  if (!current.startsWith('-')) return [];
  return options.filter((option) => !names(option).some((name) => former.includes(name))).map(({ long }) => long!);
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const BASH = `_edge_migration() {
  COMPREPLY=($(edge-migration ${COMPLETE} "\${COMP_WORDS[@]:1:COMP_CWORD}"))
}
complete -F _edge_migration edge-migration
`;

/** The shell code that enables completion of `edge-migration`. */
export const SCRIPTS: Record<Shell, string> = {
  bash: BASH,
  zsh: `autoload -U +X compinit bashcompinit && compinit && bashcompinit\n${BASH}`,
  fish: `complete -c edge-migration -f -a '(edge-migration ${COMPLETE} (commandline -opc)[2..] (commandline -ct))'\n`,
};
