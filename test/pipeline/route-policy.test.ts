import { expect, test } from 'bun:test'
import { compileRoutePolicy } from '../../src/access/route-policy.ts'
import type { RoutePolicy } from '../../src/access/policy.ts'
import { providerOf } from '../../src/testing/index.ts'
import { asking, known, outcome, routesBeginning, serve } from './servers.ts'

test('[PIP-7] what is not permitted is 403 in Llama Stack’s words, without authentication too', async () => {
  await using server = await serve({ routePolicy: routesBeginning('/v1/models') })
  const refused = await server.fetch('/v1/providers?secret=1')
  expect(refused.status).toBe(403)
  expect(await refused.json()).toEqual({
    error: {
      message: 'Access denied: insufficient permissions for route /v1/providers',
      type: 'permission_error',
      code: 'route_not_permitted',
      param: null,
    },
  })
  expect((await server.fetch('/v1/models')).status).toBe(200)
})

test('[PIP-7] health, version and readiness must be permitted like any other route', async () => {
  await using server = await serve({ routePolicy: routesBeginning('/v1/health') }, known({}))
  expect((await server.fetch('/v1/health')).status).toBe(200)
  for (const path of ['/v1/version', '/readyz']) expect(await outcome(await server.fetch(path))).toBe('403 route_not_permitted')
})

test('[PIP-7] the policy receives the principal, the method and the decoded path without a trailing slash', async () => {
  const policy = routesBeginning('/')
  await using server = await serve({ routePolicy: policy }, known({ alice: { attributes: { roles: ['admin'] } } }))
  await server.fetch('/v1/models/a%2Fb%20c/', asking('alice', { method: 'DELETE' }))
  expect(policy.asked).toEqual([
    { principal: { id: 'alice', attributes: { roles: ['admin'] } }, method: 'DELETE', path: '/v1/models/a/b c' },
  ])
})

test('a path that cannot be decoded is matched as it is', async () => {
  await using server = await serve({ routePolicy: routesBeginning('/v1/models') })
  expect(await outcome(await server.fetch('/v1/%zz'))).toBe('403 route_not_permitted')
  expect((await server.fetch('/v1/models/%zz')).status).toBe(400)
})

/** Rules in their order: path → whether it permits. */
function rules(...list: [string, boolean][]): RoutePolicy {
  return compileRoutePolicy(list.map(([paths, permits]) => (permits ? { permit: { paths } } : { forbid: { paths } })))
}

const older = '/v1/openai/v1/models/p/m'
const own = '/v1/models/p/m'
const table: [string, [string, boolean][], boolean][] = [
  ['a permit of the own name holds for the older one', [[own, true]], true],
  ['a permit of the older name suffices', [[older, true]], true],
  [
    'a forbid of the own name holds for the older one',
    [
      [own, false],
      ['*', true],
    ],
    false,
  ],
  [
    'a forbid of the older name holds',
    [
      [older, false],
      ['*', true],
    ],
    false,
  ],
  [
    'the first rule decides: permit',
    [
      [own, true],
      [older, false],
    ],
    true,
  ],
  [
    'the first rule decides: forbid',
    [
      [older, false],
      [own, true],
    ],
    false,
  ],
  [
    'a rule for everything counts in its place',
    [
      [own, true],
      ['*', false],
    ],
    true,
  ],
  ['no rule is a refusal', [['/v1/other', true]], false],
]
for (const [name, list, allowed] of table) {
  test(`[PIP-8] asked by the older path: ${name}`, async () => {
    const providers = [
      providerOf('p', {
        async listModels() {
          return [{ id: 'm' }] as never
        },
      }),
    ]
    await using server = await serve({ providers, routePolicy: rules(...list) })
    const { status } = await server.fetch(older)
    expect(status === 403).toBe(!allowed)
  })
}

test('[PIP-9] a key that is made for some APIs is refused the others', async () => {
  const key = { id: 'key_1', limits: [], allowedApis: ['models'] }
  await using server = await serve({}, known({ alice: { attributes: {}, key }, bob: { attributes: {}, key: { ...key, allowedApis: [] } } }))
  expect((await server.fetch('/v1/models', asking('alice'))).status).toBe(200)
  expect((await server.fetch('/v1/openai/v1/models', asking('alice'))).status).toBe(200)
  const refused = await server.fetch('/v1/chat/completions', asking('alice', { method: 'POST', body: '{}' }))
  expect(refused.status).toBe(403)
  expect(((await refused.json()) as { error: { message: string } }).error.message).toBe(
    "This API key is not allowed to use the API 'inference'. Allowed APIs: models.",
  )
  expect((await server.fetch('/v1/models', asking('bob'))).status).toBe(403)
  expect((await server.fetch('/nothing', asking('alice'))).status).toBe(404)
  expect((await server.fetch('/v1/health', asking('bob'))).status).toBe(200)
})
