import { describe, expect, test } from 'bun:test'
import { routes } from '../../src/api/index.ts'
import { formatOf } from '../../src/dialects/dialect.ts'
import { dialects } from '../../src/dialects/index.ts'
import { operations } from '../../src/operations/index.ts'
import type { Operation } from '../../src/operations/operation.ts'
import { modelType } from '../../src/schemas/models.ts'

const all: readonly [string, Operation][] = Object.entries(operations)
const routesOf = (operation: Operation) => routes.filter((route) => route.operation === operation)
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
