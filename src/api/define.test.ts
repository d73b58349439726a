import { expect, test } from 'bun:test'
import { openai } from '../dialects/openai/dialect.ts'
import { pathsOf } from '../http/route.ts'
import { defineRoute } from './define.ts'

const common = {
  method: 'GET',
  api: 'inference',
  operationId: 'test',
  tag: 'Test',
  summary: 'For tests',
  responses: { 200: { description: 'OK' } },
  handle: () => ({}),
} as const

const served = (route: Parameters<typeof pathsOf>[0]) => pathsOf(route).map(({ path, deprecated }) => [path, deprecated])

test('paths under /v1/ are served under /v1/openai/v1/ too, others are not', () => {
  expect(served(defineRoute({ ...common, path: '/v1/a', equivalents: ['/a'], aliases: ['/v1/b', '/v1/openai/v1/c'] }))).toEqual([
    ['/v1/a', false],
    ['/a', false],
    ['/v1/b', true],
    ['/v1/openai/v1/c', true],
    ['/v1/openai/v1/a', true],
    ['/v1/openai/v1/b', true],
  ])
  expect(served(defineRoute({ ...common, path: '/v1alpha/a' }))).toEqual([['/v1alpha/a', false]])
})

test('a route of a dialect of its own has no older path', () => {
  expect(served(defineRoute({ ...common, path: '/v1/messages', dialect: { ...openai, name: 'other' } }))).toEqual([['/v1/messages', false]])
})
