import { parseArgs } from 'node:util'
import { type Command, type OptionSpec, usageError } from './command.ts'
import { nearest } from '../config/nearest.ts'

interface ParsedInput {
  readonly args: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  /** `--help` or `-h` was among the words. */
  readonly help: boolean
  /** What was said that is taken and not needed: the option and why. */
  readonly ignored: readonly (readonly [option: string, why: string])[]
}

const helpOption: OptionSpec = { type: 'boolean', short: 'h', description: 'show this help' }

/** Checks the words after a command's name against its definition; throws a usage error that names the nearest option. */
export function parseInput(command: Command, words: readonly string[]): ParsedInput {
  const specs: Record<string, OptionSpec> = { ...command.options, help: helpOption }
  const { tokens } = parseArgs({
    args: [...words],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [
        name,
        { type: spec.type === 'boolean' ? 'boolean' : 'string', ...(spec.short && { short: spec.short }), multiple: true },
      ]),
    ),
  })

  const options: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(command.options)) {
    if (spec.multiple) options[name] = []
    else if (spec.type === 'boolean') options[name] = false
  }
  const args: string[] = []
  const ignored: [string, string][] = []
  let help = false

  for (const token of tokens) {
    if (token.kind === 'positional') args.push(token.value)
    if (token.kind !== 'option') continue
    const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined
    if (!spec) throw unknownOption(command, token.rawName, Object.keys(specs))
    const value = valueOf(command, token, spec)
    if (token.name === 'help') help = true
    else if (spec.ignored !== undefined) ignored.push([token.rawName, spec.ignored])
    else if (spec.multiple) (options[token.name] as unknown[]).push(value)
    else options[token.name] = value
  }
  if (!help) checkArguments(command, args)
  return { args, options, help, ignored }
}

interface OptionToken {
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function valueOf(command: Command, token: OptionToken, spec: OptionSpec): string | number | true {
  const { rawName, value } = token
  if (spec.type === 'boolean') {
    if (value !== undefined) throw usageError(`${rawName} does not take a value.`, seeHelp(command))
    return true
  }
  if (value === undefined || (/^-./.test(value) && !token.inlineValue)) {
    throw usageError(`${rawName} requires a value: ${rawName} ${spec.value ?? 'VALUE'}.`, seeHelp(command))
  }
  if (spec.choices && !spec.choices.includes(value)) throw notAChoice(rawName, value, spec.choices)
  if (spec.type === 'string') return value
  if (!/^\d{1,15}$/.test(value)) throw usageError(`${rawName}: expected an integer, got '${value}'.`, seeHelp(command))
  return Number(value)
}

function checkArguments(command: Command, args: readonly string[]): void {
  command.arguments.forEach((spec, index) => {
    const given = spec.many ? args.slice(index) : args.slice(index, index + 1)
    if (spec.required && given.length === 0)
      throw usageError(`corral ${command.name} requires ${spec.name}: ${spec.description}.`, seeHelp(command))
    for (const value of given) if (spec.choices && !spec.choices.includes(value)) throw notAChoice(spec.name, value, spec.choices)
  })
  const allowed = command.arguments.at(-1)?.many ? Infinity : command.arguments.length
  if (args.length > allowed) throw usageError(`corral ${command.name}: unexpected argument '${args[allowed]}'.`, seeHelp(command))
}

function notAChoice(what: string, value: string, choices: readonly string[]): Error {
  const near = nearest(value, choices)
  return usageError(`${what}: expected one of ${choices.join(', ')}, got '${value}'.`, near && `Did you mean '${near}'?`)
}

function unknownOption(command: Command, rawName: string, names: readonly string[]): Error {
  const near = rawName.startsWith('--') ? nearest(rawName.slice(2), names) : undefined
  return usageError(`corral ${command.name}: unknown option ${rawName}.`, near ? `Did you mean --${near}?` : seeHelp(command))
}

function seeHelp(command: Command): string {
  return `See \`corral help ${command.name}\`.`
}
