import { type Command, CommandError, type CommandContext, type ExitCode, interruptedCode, usageError } from './command.ts'
import { commandHelp, generalHelp, groupHelp } from './help.ts'
import { nearest } from '../config/nearest.ts'
import { parseInput } from './parse.ts'
import { version } from './version.ts'

/** Runs one command line and resolves with the exit code; never rejects. */
export async function runProgram(commands: readonly Command[], words: readonly string[], context: CommandContext): Promise<ExitCode> {
  try {
    return await dispatch(commands, words, context)
  } catch (error) {
    if (context.signal.aborted) return interruptedCode(context.signal)
    return report(error, context)
  }
}

async function dispatch(commands: readonly Command[], words: readonly string[], context: CommandContext): Promise<ExitCode> {
  const { stdout, stderr } = context
  const [first = ''] = words
  if (first === '--version' || first === '-V' || first === '-v' || first === 'version') {
    stdout.write(words.includes('--json') ? `${JSON.stringify({ version })}\n` : `corral ${version}\n`)
    return 0
  }
  if (first === '' || first === '--help' || first === '-h') {
    stdout.write(generalHelp(stdout, commands))
    return 0
  }
  if (first === 'help') return help(commands, words.slice(1), context)

  const found = findCommand(commands, words)
  if (!found) {
    const group = groupOf(commands, first)
    if (group.length > 0 && words.slice(1).every((word) => word.startsWith('-'))) {
      const wanted = words.some((word) => word === '--help' || word === '-h')
      ;(wanted ? stdout : stderr).write(groupHelp(wanted ? stdout : stderr, first, group))
      return wanted ? 0 : 2
    }
    throw unknownCommand(commands, words)
  }
  const input = parseInput(found.command, found.rest)
  if (input.help) {
    stdout.write(commandHelp(stdout, found.command))
    return 0
  }
  for (const [option, why] of input.ignored) stderr.write(`${stderr.yellow('note:')} ${option} is ignored: ${why}\n`)
  return (await found.command.run(input, context)) ?? 0
}

function help(commands: readonly Command[], words: readonly string[], { stdout }: CommandContext): ExitCode {
  const topic = words.filter((word) => !word.startsWith('-'))
  const [first] = topic
  const found = findCommand(commands, topic)
  if (first === undefined) stdout.write(generalHelp(stdout, commands))
  else if (found) stdout.write(commandHelp(stdout, found.command))
  else if (groupOf(commands, first).length > 0) stdout.write(groupHelp(stdout, first, groupOf(commands, first)))
  else throw unknownCommand(commands, topic)
  return 0
}

/** The command with the longest name that the words start with. */
function findCommand(commands: readonly Command[], words: readonly string[]): { command: Command; rest: readonly string[] } | undefined {
  let best: { command: Command; rest: readonly string[] } | undefined
  let bestLength = 0
  for (const [spelling, command] of spellings(commands)) {
    const parts = spelling.split(' ')
    if (parts.length <= bestLength || !parts.every((part, index) => words[index] === part)) continue
    bestLength = parts.length
    best = { command, rest: words.slice(parts.length) }
  }
  return best
}

function groupOf(commands: readonly Command[], word: string): [string, Command][] {
  return spellings(commands).filter(([spelling]) => spelling.startsWith(`${word} `))
}

function spellings(commands: readonly Command[]): [string, Command][] {
  return commands.flatMap((command) => [command.name, ...command.aliases].map((spelling): [string, Command] => [spelling, command]))
}

function unknownCommand(commands: readonly Command[], words: readonly string[]): Error {
  const known = spellings(commands).map(([spelling]) => spelling)
  const plain = words.filter((word) => !word.startsWith('-'))
  const near = nearest(plain.slice(0, 2).join(' '), known) ?? nearest(plain[0] ?? '', known)
  const said = groupOf(commands, plain[0] ?? '').length > 0 ? plain.slice(0, 2).join(' ') : (words[0] ?? '')
  return usageError(`Unknown command: corral ${said}.`, near ? `Did you mean \`corral ${near}\`?` : '`corral help` lists the commands.')
}

/** One clear line for what the user can put right; a stack only for what is our own fault. */
function report(error: unknown, { stderr }: CommandContext): ExitCode {
  if (error instanceof CommandError) {
    stderr.write(`${stderr.red('error:')} ${error.message}\n`)
    if (error.remedy) stderr.write(`${error.remedy}\n`)
    return error.exitCode
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  stderr.write(`${stderr.red('error:')} Internal error; please report it as a bug.\n${detail}\n`)
  return 1
}
