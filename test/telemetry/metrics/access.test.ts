import { expect, test } from 'bun:test'
import { providerOf } from '../../../src/testing/index.ts'
import { asking, known, outcome, routesBeginning, serve } from '../../pipeline/stage.ts'
import { parseText, valuesOf } from './parse-text.ts'

test('[MET-5] /metrics demands a credential once there is authentication, and counts who came without', async () => {
  await using server = await serve({ providers: [providerOf('up', {})] }, known({ alice: { attributes: {} } }))
  expect((await server.fetch('/metrics')).status).toBe(401)
  const families = parseText(await (await server.fetch('/metrics', asking('alice'))).text())
  const refused = { corral_denied_by: 'authentication', corral_denied_code: 'authentication_error' }
  expect(valuesOf(families, 'corral_refusals_total', refused)).toEqual([1])
})

test('[MET-5] who may read /metrics is for the route policy', async () => {
  await using server = await serve({ routePolicy: routesBeginning('/v1') })
  expect(await outcome(await server.fetch('/metrics'))).toBe('403 route_not_permitted')
  await using open = await serve({ routePolicy: routesBeginning('/metrics') })
  expect((await open.fetch('/metrics')).status).toBe(200)
})

test('[MET-2] how much of a limit is used, by its name and never by whom; refusals by the limit that refused', async () => {
  const quota = { limits: [{ name: 'few', period: 'day', requests: 4, per: ['user'], when: [] }] } as const
  await using server = await serve({ quota }, known({ alice: { attributes: {} }, bob: { attributes: {} } }))
  for (let at = 0; at < 3; at++) await server.fetch('/v1/models', asking('alice'))
  const families = parseText(await (await server.fetch('/metrics', asking('bob'))).text())
  const limit = { corral_limit_name: 'few', corral_limit_unit: 'requests', corral_limit_period: 'day' }
  expect(valuesOf(families, 'corral_quota_use_ratio', limit)).toEqual([0.75])
  for (let at = 0; at < 3; at++) await server.fetch('/v1/models', asking('alice'))
  const [after] = server.services.metrics?.collect()['corral.refusals'] ?? []
  expect(after).toEqual({ labels: ['quota', 'insufficient_quota', 'few'], value: 2 })
  expect(JSON.stringify(server.services.metrics?.collect())).not.toMatch(/alice|bob/)
})
