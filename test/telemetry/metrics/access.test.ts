import { expect, test } from 'bun:test'
import { defaultTelemetry } from '../../../src/telemetry/config.ts'
import { providerOf, recordedLog } from '../../../src/testing/index.ts'
import { asking, known, outcome, routesBeginning, serve } from '../../pipeline/servers.ts'
import { parseText, valuesOf } from './parse-text.ts'

const reader = { attributes: { scopes: ['profile', 'telemetry.read'] } }

test('[MET-5] /metrics demands a credential once there is authentication, and counts who came without', async () => {
  await using server = await serve({ providers: [providerOf('up', {})] }, known({ alice: reader }))
  expect((await server.fetch('/metrics')).status).toBe(401)
  const families = parseText(await (await server.fetch('/metrics', asking('alice'))).text())
  const refused = { corral_denied_by: 'authentication', corral_denied_code: 'authentication_error' }
  expect(valuesOf(families, 'corral_refusals_total', refused)).toEqual([1])
})

test.each([
  ['no scopes', {}],
  ['other scopes', { scopes: ['telemetry', 'telemetry.reader', 'telemetry.write'] }],
  ['the scope as another attribute', { roles: ['telemetry.read'] }],
])('[BND-5] %s: 403, and the access log says why', async (_, attributes: Record<string, string[]>) => {
  const log = recordedLog()
  await using server = await serve({}, known({ alice: { attributes } }), { log })
  expect(await outcome(await server.fetch('/metrics', asking('alice')))).toBe('403 missing_scope')
  expect(log.lines.some(({ fields }) => fields['denied_reason'] === 'the scope telemetry.read is missing')).toBe(true)
})

test('[BND-5] public metrics are readable with any credential and with none, as far as the route policy admits', async () => {
  const telemetry = { ...defaultTelemetry, metrics: { ...defaultTelemetry.metrics, public: true } }
  const callers = known({ alice: { attributes: {} } })
  await using server = await serve({ telemetry }, callers)
  for (const init of [{}, asking('alice'), asking('nobody')]) expect((await server.fetch('/metrics', init)).status).toBe(200)
  expect((await server.fetch('/v1/models')).status).toBe(401)
  expect((await server.fetch('/metrics', { method: 'POST' })).status).toBe(401)
  await using closed = await serve({ telemetry, routePolicy: routesBeginning('/v1') }, callers)
  expect(await outcome(await closed.fetch('/metrics'))).toBe('403 route_not_permitted')
})

test('[MET-5] who may read /metrics is for the route policy', async () => {
  await using server = await serve({ routePolicy: routesBeginning('/v1') })
  expect(await outcome(await server.fetch('/metrics'))).toBe('403 route_not_permitted')
  await using open = await serve({ routePolicy: routesBeginning('/metrics') })
  expect((await open.fetch('/metrics')).status).toBe(200)
})

test('[MET-2] how much of a limit is used, by its name and never by whom; refusals by the limit that refused', async () => {
  const quota = { limits: [{ name: 'few', period: 'day', requests: 4, per: ['user'], when: [] }] } as const
  await using server = await serve({ quota }, known({ alice: { attributes: {} }, bob: reader }))
  for (let at = 0; at < 3; at++) await server.fetch('/v1/models', asking('alice'))
  const families = parseText(await (await server.fetch('/metrics', asking('bob'))).text())
  const limit = { corral_limit_name: 'few', corral_limit_unit: 'requests', corral_limit_period: 'day' }
  expect(valuesOf(families, 'corral_quota_utilization_ratio', limit)).toEqual([0.75])
  for (let at = 0; at < 3; at++) await server.fetch('/v1/models', asking('alice'))
  const [after] = server.services.metrics?.collect()['corral.refusals'] ?? []
  expect(after).toEqual({ labels: ['quota', 'insufficient_quota', 'few'], value: 2 })
  expect(JSON.stringify(server.services.metrics?.collect())).not.toMatch(/alice|bob/)
})

test('[TEL-3] a refusal counts under the configured name of its limit, whatever that is; limits of keys share one label', async () => {
  const quota = { limits: [{ name: 'rate limit, limit 2', period: 'day', requests: 1, per: ['user'], when: [] }] } as const
  const key = { id: 'key_1', limits: [{ name: 'of the owner', period: 'day', requests: 0 }] } as const
  await using server = await serve({ quota }, known({ alice: { attributes: {} }, bob: { attributes: {}, key } }))
  for (let at = 0; at < 3; at++) await server.fetch('/v1/models', asking('alice'))
  await server.fetch('/v1/models', asking('bob'))
  expect(server.services.metrics?.collect()['corral.refusals']).toEqual([
    { labels: ['quota', 'insufficient_quota', 'rate limit, limit 2'], value: 2 },
    { labels: ['quota', 'insufficient_quota', 'other'], value: 1 },
  ])
})
