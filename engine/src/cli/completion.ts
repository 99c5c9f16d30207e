/** Shell completion of command and option names, made from the command definitions themselves; paths are left to the shell. */
import type { Command } from 'commander';
import { UsageError } from './usage-error.ts';

interface CommandWords {
  readonly name: string;
  readonly description: string;
  readonly options: readonly string[];
}

/** A script for the shell to source. Errors: UsageError for another shell. */
export function completionScript(program: Command, shell: string): string {
  const commands = program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: command.options.flatMap((option) => (option.long === undefined ? [] : [option.long])),
  }));
  switch (shell) {
    case 'bash':
      return bashScript(commands);
    case 'zsh':
      return zshScript(commands);
    case 'fish':
      return fishScript(commands);
    default:
      throw new UsageError(`No completion for "${shell}". Ask for one of: bash, zsh, fish`);
  }
}

function bashScript(commands: readonly CommandWords[]): string {
  const cases = commands.map((command) => `    ${command.name}) words="${command.options.join(' ')}" ;;`).join('\n');
  return `# Load with: source <(driftless completion bash)
_driftless() {
  local current=\${COMP_WORDS[COMP_CWORD]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map((command) => command.name).join(' ')}" -- "$current"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases}
  esac
  case $current in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=() ;;
  esac
}
complete -o default -F _driftless driftless
`;
}

function zshScript(commands: readonly CommandWords[]): string {
  const names = commands
    .map((command) => `    '${command.name}:${command.description.replaceAll("'", '’').replaceAll(':', ' ')}'`)
    .join('\n');
  const cases = commands
    .map(
      (command) =>
        `    ${command.name}) _arguments ${command.options.map((option) => `'${option}'`).join(' ')} '*:path:_files' ;;`,
    )
    .join('\n');
  return `#compdef driftless
# Load with: source <(driftless completion zsh)
_driftless() {
  local -a commands
  commands=(
${names}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${cases}
  esac
}
compdef _driftless driftless
`;
}

function fishScript(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap((command) => [
    `complete -c driftless -n __fish_use_subcommand -f -a ${command.name} -d '${command.description.replaceAll("'", '’')}'`,
    ...command.options.map(
      (option) =>
        `complete -c driftless -n '__fish_seen_subcommand_from ${command.name}' -l ${option.replace(/^--/, '')}`,
    ),
  ]);
  return `# Load with: driftless completion fish | source\n${lines.join('\n')}\n`;
}
