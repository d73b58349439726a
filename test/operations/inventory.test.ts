import { describe, expect, test } from 'bun:test'
import { routes } from '../../src/api/index.ts'
import { dialectOfPath, formatOf } from '../../src/dialects/dialect.ts'
import { dialects } from '../../src/dialects/index.ts'
import { ApiError } from '../../src/errors.ts'
import { pathsOf } from '../../src/http/route.ts'
import { operations } from '../../src/operations/index.ts'
import type { Operation } from '../../src/operations/operation.ts'
import { modelType } from '../../src/schemas/models.ts'

const all: readonly [string, Operation][] = Object.entries(operations)
const routesOf = (operation: Operation) => routes.filter((route) => route.operation === operation)
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const isDistinct = (values: readonly unknown[]) => new Set(values).size === values.length

describe.each(all)('the operation %s', (name, operation) => {
  test('[OPN-2] has a name, a type of model and a name for traces and metrics', () => {
    expect(operation.name).toBe(name)
    expect(modelType.options).toContain(operation.modelType)
    expect(operation.genAiName).toMatch(/^[a-z][a-z_]*$/)
  })

  test('[OPN-2] has a route with a request, a response and a page in the reference', () => {
    const served = routesOf(operation)
    expect(served.length).toBeGreaterThan(0)
    for (const { method, body, responses, summary, description } of served) {
      expect([method, body !== undefined, responses[200]?.json !== undefined]).toEqual(['POST', true, true])
      expect(responses[200]?.events !== undefined).toBe(operation.streams)
      expect([summary, description]).toEqual([expect.any(String), expect.any(String)])
    }
    expect(served.some(({ body }) => body === operation.request)).toBe(true)
  })

  test.each(dialects.map((dialect) => [dialect.name, dialect] as const))('[OPN-2] has a format in the dialect %s', (_, dialect) => {
    const format = formatOf(operation, dialect)
    expect(format.name).toMatch(/^[a-z-]+\.[a-z_]+$/)
    expect(format.upstreamPath).toMatch(/^\/[a-z/]+$/)
    expect(format.governedFields).toContain('model')
    expect(isDistinct(format.governedFields)).toBe(true)
    expect(format.inputSize({}, 2)).toMatchObject({ text: expect.any(Number) as number, tokens: 0 })
    expect(format.outputLimit({})).toEqual({ maxTokens: 0, isOpen: true, choices: 1 })
    expect(format.requestParameters({})).toEqual({})
    expect(format.requestMessages({}, 9)).toEqual([])
    const reply = new TextEncoder().encode('{}')
    expect([format.replyText(reply), format.replyMessages(reply, 9), format.frameMessages('', 9)]).toEqual([0, [], []])
  })
})

test('[OPN-2] operations differ in their names and formats', () => {
  expect(isDistinct(all.map(([, { name }]) => name))).toBe(true)
  expect(isDistinct(all.map(([, { genAiName }]) => genAiName))).toBe(true)
  expect(isDistinct(all.map(([, { format }]) => format.name))).toBe(true)
})

test('[OPN-2] every route that calls a model has an operation of the list', () => {
  const known = new Set<unknown>(Object.values(operations))
  for (const { api, path, operation } of routes)
    expect([path, operation !== undefined && known.has(operation)]).toEqual([path, api === 'inference'])
})

describe.each(dialects.map((dialect) => [dialect.name, dialect] as const))('the dialect %s', (name, dialect) => {
  const error = new ApiError('invalid_request_error', 'Unknown model.', { code: 'model_not_found', param: 'model' })

  test('[OPN-3] has an error body that its schema describes', () => {
    const body = dialect.errorBody(error)
    expect(dialect.errorSchema.safeParse(body).success).toBe(true)
    expect(JSON.stringify(body)).toContain('Unknown model.')
  })

  test('[OPN-3] has whole frames for errors and silence', () => {
    expect(textOf(dialect.errorEvent(error))).toMatch(/Unknown model\.[\s\S]*\n\n$/)
    expect(textOf(dialect.heartbeat)).toMatch(/^(?::|event: )[\s\S]*\n\n$/)
  })

  test('[OPN-3] has a route, and formats of operations that exist', () => {
    const paths = routes.flatMap((route) => pathsOf(route).map(({ path }) => (route.dialect ?? dialectOfPath(path, dialects)).name))
    expect(paths).toContain(name)
    for (const operation of Object.keys(dialect.formats ?? {})) expect(Object.keys(operations)).toContain(operation)
  })
})
