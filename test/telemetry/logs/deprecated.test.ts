import { expect, test } from 'bun:test'
import { createApp } from '../../../src/app.ts'
import { openai } from '../../../src/dialects/openai/dialect.ts'
import { RequestContext } from '../../../src/http/middleware/context.ts'
import { deprecatedRoutes } from '../../../src/http/middleware/deprecated-routes.ts'
import { buildServices } from '../../../src/services.ts'
import { recordedLog, testConfig } from '../../../src/testing/index.ts'
import { known } from '../../pipeline/servers.ts'

const used = (log: ReturnType<typeof recordedLog>) => log.lines.filter(({ message }) => message === 'deprecated route used')

test('[OPS-2] an older path is served, says where its successor is, and is logged once for each caller', async () => {
  const log = recordedLog()
  await using services = await buildServices(testConfig(), {
    log,
    authentication: known({ alice: { attributes: {} }, bob: { attributes: {} } }),
  })
  const app = createApp(services)
  const ask = (path: string, who: string) =>
    app.fetch(new Request(`http://localhost${path}`, { headers: { authorization: `Bearer ${who}` } }))
  for (const who of ['alice', 'alice', 'bob', 'alice']) {
    const response = await ask('/v1/openai/v1/models?x=1', who)
    expect([response.status, response.headers.get('deprecation')]).toEqual([200, '@1762128000'])
    expect(response.headers.get('link')).toBe('</v1/models>; rel="successor-version"')
  }
  expect(used(log).map(({ fields }) => [fields['principal'], fields['route']])).toEqual([
    ['alice', '/v1/models'],
    ['bob', '/v1/models'],
  ])
  const missing = await ask('/v1/openai/v1/models/a%2Fb%3Cc', 'alice')
  expect([missing.status, missing.headers.get('link')]).toEqual([404, '</v1/models/a%2Fb%3Cc>; rel="successor-version"'])
  const current = await ask('/v1/models', 'alice')
  expect([current.headers.has('deprecation'), current.headers.has('link')]).toEqual([false, false])
})

test('[OPS-2] the least recently warned caller is evicted first', async () => {
  const log: unknown[] = []
  const layer = deprecatedRoutes({ warning: (_message, fields) => void log.push(fields) })
  const ask = (id: string) => {
    const request = new Request('http://localhost/v1/openai/v1/models')
    const context = new RequestContext(request)
    context.principal = { id, attributes: {} }
    context.route = '/v1/models'
    context.match = { route: { path: '/v1/models' } as never, params: {}, deprecated: true, dialect: openai }
    return layer(request, context, () => Promise.resolve(new Response()))
  }
  for (let count = 0; count <= 1000; count++) await ask(`user-${count}`)
  await ask('user-1000')
  expect(log).toHaveLength(1001)
  await ask('user-0')
  expect(log).toHaveLength(1002)
})
