import { expect, test } from 'bun:test'
import { type Dialect, dialectOfPath } from './dialect.ts'
import { dialects } from './index.ts'

const named = (name: string, ...paths: string[]) => ({ name, paths }) as Partial<Dialect> as Dialect

test('[DIA-1] the longest prefix of a path decides, whatever the order; without one the first dialect', () => {
  const list = [named('first', '/v1/'), named('second', '/v1/messages'), named('third', '/v1beta/', '/v1/models/gemini')]
  for (const all of [list, list.toReversed()]) {
    expect(dialectOfPath('/v1/chat', all).name).toBe('first')
    expect(dialectOfPath('/v1/messages/batches', all).name).toBe('second')
    expect(dialectOfPath('/v1beta/models', all).name).toBe('third')
    expect(dialectOfPath('/v1/models/gemini-1', all).name).toBe('third')
    expect(dialectOfPath('/other', all).name).toBe(all[0]!.name)
  }
})

test('[DIA-1] every dialect has a name and prefixes of its own', () => {
  const prefixes = dialects.flatMap(({ paths }) => paths)
  expect(new Set(prefixes).size).toBe(prefixes.length)
  expect(new Set(dialects.map(({ name }) => name)).size).toBe(dialects.length)
  for (const { paths } of dialects) expect(paths.length).toBeGreaterThan(0)
})
