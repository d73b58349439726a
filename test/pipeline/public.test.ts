import { afterAll, beforeAll, expect, test } from 'bun:test'
import { routes } from '../../src/api/index.ts'
import { pathsOf } from '../../src/http/route.ts'
import type { TestServer } from '../../src/testing/index.ts'
import { asking, known, outcome, serve } from './servers.ts'

let server: TestServer
let open: TestServer
beforeAll(async () => {
  server = await serve({}, known({ alice: { attributes: {} } }))
  open = await serve({ server: { docsNeedAuth: false } }, known({}))
})
afterAll(async () => {
  for (const one of [server, open]) await one[Symbol.asyncDispose]()
})

const publicPaths = ['/v1/health', '/v1/version', '/readyz', '/v1/openai/v1/health', '/v1/openai/v1/version']

test('[PIP-5] the public routes need no credential, by their deprecated paths and for HEAD too', async () => {
  for (const path of publicPaths) {
    for (const method of ['GET', 'HEAD']) expect(`${path} ${(await server.fetch(path, { method })).status}`).toBe(`${path} 200`)
  }
  expect((await server.fetch('/v1/health/')).status).toBe(200)
})

test('[PIP-5] every other path of every route is 401 with each method, and those are all', async () => {
  const refused: string[] = []
  for (const { path } of routes.flatMap((route) => pathsOf(route))) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const asked = path.replaceAll(/\{\w+\+?\}/g, 'x')
      const { status } = await server.fetch(asked, { method })
      const isPublic = publicPaths.includes(path) && (method === 'GET' || method === 'HEAD')
      if (!isPublic) refused.push(`${method} ${path} ${status}`)
    }
  }
  expect(refused.filter((line) => !line.endsWith(' 401'))).toEqual([])
  expect(refused.length).toBeGreaterThan(100)
})

test('[PIP-5] an unknown path is 401, and 404 with a credential', async () => {
  for (const path of [
    '/',
    '/nothing',
    '/v1',
    '/v1/%68ealth',
    '/v1/healthz',
    '/v1/health%2F',
    '/V1/HEALTH',
    '/v1%2F%2Fhealth',
    '/%2Fv1/health',
    '/v1/:://health',
    '/v1/health/x',
    '/docs',
  ]) {
    expect(`${path} ${await outcome(await server.fetch(path))}`).toBe(`${path} 401 authentication_error`)
  }
  expect(await outcome(await server.fetch('/nothing', asking('alice')))).toBe('404 unknown_url')
  expect(await outcome(await server.fetch('/v1/models', asking('alice', { method: 'PUT' })))).toBe('405 method_not_allowed')
})

test('[PIP-6] the reference is read without a credential only where the configuration says so', async () => {
  for (const path of ['/docs', '/docs/start.js', '/openapi.json']) {
    expect((await server.fetch(path)).status).toBe(401)
    expect((await server.fetch(path, asking('alice'))).status).toBe(200)
    expect((await open.fetch(path)).status).toBe(200)
  }
  expect((await open.fetch('/docs/', { method: 'POST' })).status).toBe(401)
  expect((await open.fetch('/v1/models')).status).toBe(401)
})

test('a 401 says how to authenticate', async () => {
  expect((await server.fetch('/v1/models')).headers.get('www-authenticate')).toBe('Bearer')
})
