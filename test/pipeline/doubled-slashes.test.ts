import { afterAll, beforeAll, expect, test } from 'bun:test'
import { array, assert, asyncProperty, constantFrom, integer } from 'fast-check'
import { compileRoutePolicy } from '../../src/access/route-policy.ts'
import { asking, known, outcome, serve } from './servers.ts'

let server: Awaited<ReturnType<typeof serve>>
beforeAll(async () => {
  const routePolicy = compileRoutePolicy([{ forbid: { paths: '/v1/providers' } }, { permit: { paths: '*' } }])
  server = await serve({ routePolicy }, known({ alice: { attributes: {} } }))
})
afterAll(() => server[Symbol.asyncDispose]())

/** Public, for callers who are known, forbidden, absent. */
const paths = ['/v1/health', '/v1/models', '/v1/openai/v1/models', '/v1/providers', '/v1/nothing']

test('[PRO-6] doubled slashes change neither the route nor its authorization', async () => {
  const expected = new Map<string, string>()
  for (const path of paths) {
    for (const who of ['alice', undefined]) expected.set(`${path} ${who}`, await outcome(await server.fetch(path, who ? asking(who) : {})))
  }
  expect(expected.get('/v1/health undefined')).toStartWith('200')
  expect(expected.get('/v1/models alice')).toStartWith('200')
  expect(expected.get('/v1/models undefined')).toStartWith('401')
  expect(expected.get('/v1/providers alice')).toBe('403 route_not_permitted')
  await assert(
    asyncProperty(
      constantFrom(...paths),
      array(integer({ min: 1, max: 3 }), { minLength: 5, maxLength: 5 }),
      constantFrom('alice', undefined),
      async (path, counts, who) => {
        let at = 0
        const spelled = path.replaceAll('/', () => '/'.repeat(counts[at++ % counts.length] ?? 1))
        const seen = await outcome(await server.fetch(spelled, who ? asking(who) : {}))
        expect(`${spelled} ${seen}`).toBe(`${spelled} ${expected.get(`${path} ${who}`)}`)
      },
    ),
    { numRuns: 60 },
  )
})

test('[PRO-6] percent-encoded slashes are part of a segment, never a separator', async () => {
  for (const path of ['/v1%2Fmodels', '/%2Fv1/models', '/v1/%2Fmodels', '/v1/%2f/models', '/v1/%2Fproviders']) {
    expect(`${path} ${await outcome(await server.fetch(path, asking('alice')))}`).toMatch(/ (404 unknown_url|403 route_not_permitted)$/)
  }
})

test('[PRO-6] a doubled slash within a model’s id is part of the id', async () => {
  const response = await server.fetch('/v1/models/p//m', asking('alice'))
  expect(response.status).toBe(404)
  expect(await response.text()).toContain('p//m')
  expect(await (await server.fetch('/v1//models/p/m', asking('alice'))).text()).toContain("'p/m'")
})
