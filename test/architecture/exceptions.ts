import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './source.ts'

/**
 * Exceptions from a rule, as counts that may only shrink: one `name count` a line. Where two branches shrank the same line, a merge keeps both lines
 * (.gitattributes), and the smaller counts.
 */
export function readExceptions(file: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of readFileSync(join(root, 'test/architecture', file), 'utf8')
    .split('\n')
    .filter(Boolean)) {
    const [name = '', count = ''] = line.split(' ')
    counts.set(name, Math.min(Number(count), counts.get(name) ?? Infinity))
  }
  return counts
}

/**
 * What is wrong with a list of exceptions, given today's counts: too much of something, or a number that is higher than it needs to be.
 */
export function departures(allowed: ReadonlyMap<string, number>, today: ReadonlyMap<string, number>): string[] {
  return [...new Set([...allowed.keys(), ...today.keys()])].flatMap((name) => {
    const [now, limit] = [today.get(name) ?? 0, allowed.get(name) ?? 0]
    if (now > limit) return [`${name}: ${now}, allowed are ${limit}`]
    return now < limit ? [`${name}: lower the number from ${limit} to ${now}`] : []
  })
}

/**
 * The list as it may be written: today's counts, where none is higher than before. What one name lost, new names may have (a file that was moved or
 * split); nothing else is new.
 */
export function shrunk(allowed: ReadonlyMap<string, number>, today: ReadonlyMap<string, number>): Map<string, number> {
  let spare = [...allowed].reduce((sum, [name, limit]) => sum + Math.max(0, limit - (today.get(name) ?? 0)), 0)
  const counts = new Map<string, number>()
  for (const [name, now] of today) {
    const limit = allowed.get(name)
    const granted = limit === undefined ? Math.min(now, spare) : Math.min(now, limit)
    if (limit === undefined) spare -= granted
    if (granted > 0) counts.set(name, granted)
  }
  return counts
}

export function writeExceptions(file: string, counts: ReadonlyMap<string, number>): void {
  const lines = [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ${count}\n`)
  writeFileSync(join(root, 'test/architecture', file), lines.join(''))
}
