import { describe, expect, test } from 'bun:test'
import { routes } from '../api/index.ts'
import { ApiError } from '../errors.ts'
import { pathsOf } from '../http/route.ts'
import { operations } from '../operations/index.ts'
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

describe.each(dialects.map((dialect) => [dialect.name, dialect] as const))('the dialect %s', (name, dialect) => {
  const errors = [
    new ApiError('invalid_request_error', 'Not "so".\n', { param: 'a', code: 'b' }),
    new ApiError('overloaded_error', 'no', { status: 529, provider: { id: 'p', status: 529, body: { message: 'no' } } }),
  ]

  test('[DIA-7] encodes errors by its schema, and as one event', () => {
    for (const error of errors) {
      const body = dialect.errorBody(error)
      expect(dialect.errorSchema.parse(body)).toEqual(body)
      expect(JSON.stringify(body)).toContain(JSON.stringify(error.message))
      const event = new TextDecoder().decode(dialect.errorEvent(error))
      expect(event.split('\n\n')).toEqual([expect.stringContaining(JSON.stringify(error.message)), ''])
    }
  })

  test('[DIA-7] has a heartbeat that is one frame', () => {
    const frame = new TextDecoder().decode(dialect.heartbeat)
    expect(frame).toMatch(/^(?::|event:).*\n\n$/)
  })

  test('[DIA-7] has a route, and formats of known operations under its own name', () => {
    const paths = routes.flatMap((route) => pathsOf(route).map(({ path }) => route.dialect ?? dialectOfPath(path, dialects)))
    expect(paths).toContain(dialect)
    for (const [operation, format] of Object.entries(dialect.formats ?? {})) {
      expect(Object.keys(operations)).toContain(operation)
      expect(format.name).toBe(`${name}.${operation}`)
    }
  })
})
