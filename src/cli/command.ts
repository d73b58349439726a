import { signalExitCodes } from '../runtime/stop-signals.ts'

/**
 * Where a command writes. `write` never throws: once the reader has gone (a closed pipe) what follows is dropped.
 * Styles return the text unchanged where colour is off (no terminal, `NO_COLOR`), so that they can always be used.
 */
export interface CommandOutput {
  write(text: string): void
  readonly isTerminal: boolean
  /** Characters a line; 80 where unknown. */
  readonly columns: number
  /** Whether anything was written yet. */
  readonly hasWritten: boolean
  /** Whether the reader closed the pipe. A command that has no end of its own stops then. */
  readonly readerGone: boolean
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
  cyan(text: string): string
}

/** What a command may touch, so that tests run it in process. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Results: text for people, or JSON with `--json`, and nothing else. */
  readonly stdout: CommandOutput
  /** Progress, notes, warnings and errors. */
  readonly stderr: CommandOutput
  /** Absolute path against which file names are meant. */
  readonly cwd: string
  /** Aborts on SIGINT and SIGTERM; the reason is the signal's name. */
  readonly signal: AbortSignal
}

/** 0 done, 1 failed, 2 the command line was wrong, 130 or 143 ended by SIGINT or SIGTERM. */
export type ExitCode = 0 | 1 | 2 | 130 | 143

/** The exit code of a command that ends because its context's signal was aborted. */
export function interruptedCode({ reason }: AbortSignal): ExitCode {
  return reason === 'SIGTERM' ? signalExitCodes.SIGTERM : signalExitCodes.SIGINT
}

export interface OptionSpec {
  /** `integer` is checked to be a whole number ≥ 0. */
  readonly type: 'string' | 'integer' | 'boolean'
  /** One line for the help, without a full stop. */
  readonly description: string
  /** The placeholder of the value in the help, e.g. `PORT`; for `string` and `integer`. */
  readonly value?: string
  /** One letter. */
  readonly short?: string
  /** May be given several times; the values come as an array. For `string` only. */
  readonly multiple?: boolean
  /** Allowed values; anything else is a usage error that names them. */
  readonly choices?: readonly string[]
  /** Accepted for compatibility and ignored; the text says why. Not in the list of options of the help. */
  readonly ignored?: string
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

type OptionValue<O extends OptionSpec> = O extends { type: 'boolean' }
  ? boolean
  : O extends { type: 'integer' }
    ? number | undefined
    : O extends { multiple: true }
      ? readonly string[]
      : string | undefined

export interface ArgumentSpec {
  /** As the help shows it, e.g. `MODEL`. */
  readonly name: string
  readonly description: string
  readonly required?: boolean
  /** The last argument only: takes all that follow. */
  readonly many?: boolean
  readonly choices?: readonly string[]
}

interface CommandInput<O extends OptionSpecs> {
  /** Positional arguments, as many as were given; `required` ones are there. */
  readonly args: readonly string[]
  readonly options: { readonly [K in keyof O]: OptionValue<O[K]> }
}

interface CommandDefinition<O extends OptionSpecs> {
  /** The words a user types, e.g. `models pull`. */
  readonly name: string
  /** Other spellings, Llama Stack's among them, e.g. `stack list-apis`. */
  readonly aliases?: readonly string[]
  /** One line for the list of commands, without a full stop. */
  readonly summary: string
  /** Paragraphs for the command's own help. */
  readonly description?: string
  readonly arguments?: readonly ArgumentSpec[]
  /** Keys are the long names: `{ port: … }` is `--port`. */
  readonly options?: O
  /** At least one: `[what it does, the whole command line]`. */
  readonly examples: readonly (readonly [what: string, line: string])[]
  /**
   * Does the work; heavy modules are imported in here, so that the other commands start fast.
   * Returns the exit code (nothing: 0). Throws CommandError for what a user can put right.
   */
  run(input: CommandInput<O>, context: CommandContext): Promise<ExitCode | void>
}

/** A command in the list, its options' types forgotten. */
export type Command = Required<
  Pick<CommandDefinition<OptionSpecs>, 'name' | 'summary' | 'examples' | 'aliases' | 'arguments' | 'options'>
> &
  Pick<CommandDefinition<OptionSpecs>, 'description'> & {
    run(input: { args: readonly string[]; options: Readonly<Record<string, unknown>> }, context: CommandContext): Promise<ExitCode | void>
  }

export function defineCommand<const O extends OptionSpecs>(definition: CommandDefinition<O>): Command {
  return {
    aliases: [],
    arguments: [],
    options: {},
    ...definition,
    run: (input, context) => definition.run(input as unknown as CommandInput<O>, context),
  }
}

/** The `--json` that every command with a result has. */
export const jsonOption = { type: 'boolean', description: 'print JSON' } as const satisfies OptionSpec

/** A failure that the user can put right: printed as `error: message`, then the remedy, without a stack. */
export class CommandError extends Error {
  readonly exitCode: ExitCode
  /** What to do about it: one sentence or a command line. */
  readonly remedy: string | undefined

  constructor(message: string, detail: { remedy?: string; exitCode?: ExitCode; cause?: unknown } = {}) {
    super(message, { cause: detail.cause })
    this.name = 'CommandError'
    this.remedy = detail.remedy
    this.exitCode = detail.exitCode ?? 1
  }
}

/** The command line itself is wrong: exit code 2. */
export function usageError(message: string, remedy?: string): CommandError {
  return new CommandError(message, { exitCode: 2, ...(remedy !== undefined && { remedy }) })
}
