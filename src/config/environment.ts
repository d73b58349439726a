import type { Report } from './report.ts'
import { isNonEmpty } from './tree.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Corral's prefix first, then OGX's, then Llama Stack's, so that existing environments work unchanged. */
export const families = ['CORRAL', 'OGX', 'LLAMA_STACK'] as const

/** The value of `<family>_<suffix>` of the first family that has one, with the variable's name. */
export function settingOf(env: Environment, suffix: string): { name: string; value: string } | undefined {
  for (const family of families) {
    const name = `${family}_${suffix}`
    const value = env[name]
    if (isNonEmpty(value)) return { name, value: value.trim() }
  }
  return undefined
}

/** Reads a port out of a flag or a variable. Undefined when there is none, or after reporting that it is none. */
export function readPort(value: string | number | undefined, origin: string, report: Report): number | undefined {
  if (value === undefined) return undefined
  const port = typeof value === 'number' ? value : /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  report.errorOf(origin, 'must be a port: a whole number from 1 to 65535, or 0 for a free one')
  return undefined
}
