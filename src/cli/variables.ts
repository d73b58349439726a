import { type OptionSpec, usageError } from './command.ts'

export const envOption = {
  type: 'string',
  value: 'NAME=VALUE',
  multiple: true,
  description: 'set a variable for ${env.NAME} and for settings; overrides the environment',
} as const satisfies OptionSpec

type Variables = Readonly<Record<string, string | undefined>>

/** The environment with the variables of `--env` on top; of two with one name the last counts. Throws a usage error, without the value. */
export function withVariables(env: Variables, assignments: readonly string[]): Variables {
  if (assignments.length === 0) return env
  return { ...env, ...Object.fromEntries(assignments.map(assignment)) }
}

function assignment(text: string): [name: string, value: string] {
  const at = text.indexOf('=')
  const name = at < 0 ? text : text.slice(0, at)
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    throw usageError(`--env: invalid variable name '${name}': use letters, digits and '_'.`, 'E.g. --env NAME=VALUE.')
  }
  if (at < 0) throw usageError(`--env ${name}: the value is missing.`, `Write --env ${name}=VALUE.`)
  return [name, text.slice(at + 1)]
}
