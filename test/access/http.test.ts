import { afterAll, beforeAll, expect, test } from 'bun:test'
import { request } from 'node:http'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import { compileRoutePolicy } from '../../src/access/route-policy.ts'
import { routePolicySchema } from '../../src/access/schema.ts'
import { providerOf, testConfig, testServer, type TestServer } from '../../src/testing/index.ts'
import { known } from '../pipeline/servers.ts'

let server: TestServer

const rules = [
  { forbid: { paths: ['/v1/models', '/v1/models/*'] }, unless: 'user with admin in roles' },
  { forbid: { paths: 'regex:/v1/providers' }, unless: 'user with admin in roles' },
  { permit: { paths: '*' } },
]

beforeAll(async () => {
  const listed = { id: 'a/b', type: 'llm', metadata: {} } as const
  const config = testConfig({
    providers: [providerOf('p', { listModels: async () => [listed] })],
    routePolicy: compileRoutePolicy(routePolicySchema.parse(rules)),
    accessPolicy: compileAccessPolicy([]),
  })
  server = await testServer(config, { authentication: known({ admin: { attributes: { roles: ['admin'] } }, user: { attributes: {} } }) })
})
afterAll(() => server[Symbol.asyncDispose]())

/** The path unchanged, with dots that `fetch` would normalise. */
function ask(path: string, who: string, method = 'GET'): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const { hostname, port } = new URL(server.url)
  const sent = request({ hostname, port, path, method, headers: { authorization: `Bearer ${who}` } }, (response) => {
    let text = ''
    response.on('data', (bytes: Buffer) => (text += bytes.toString()))
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
  })
  sent.on('error', reject)
  sent.end()
  return promise
}

test('[RTE-11] however a request spells a path over the wire, what is forbidden is not served', async () => {
  const spellings = [
    '/v1/models',
    '/v1/models/',
    '/v1/models?x=/v1/files',
    '/v1/models#x',
    '//v1/models',
    '/v1//models',
    '/v1/models//',
    '/v1/%6dodels',
    '/v1%2Fmodels',
    '/v1/openai/v1/models',
    '/v1/openai/v1/models/',
    '/v1/openai//v1/models',
    '/v1/./models',
    '/v1/x/../models',
    '/v1/models/p/a/b',
    '/v1/models/p%2Fa%2fb',
    '/v1/models//p/a/b',
    '/v1/openai/v1/models/p%2Fa/b',
    '/v1/models/%70/a/b',
    '/v1/models/../models/p/a/b',
    '/v1/files/..%2Fmodels',
    '/v1/models/p/a/b%00',
    '/v1/models/%zz',
    '/V1/MODELS',
    '/v1/providers/p',
    '/v1/openai/v1/providers/p',
    '/v1//providers',
  ]
  for (const path of spellings) {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const { status, text } = await ask(path, 'user', method)
      expect(`${method} ${path} ${[403, 404].includes(status)}`).toBe(`${method} ${path} true`)
      expect(text).not.toContain('"object":"model"')
    }
  }
  expect((await ask('/v1/models/p%2Fa/b', 'admin')).status).toBe(200)
  expect((await ask('/v1/openai/v1/models', 'admin')).status).toBe(200)
})

test('[RTE-11] the refusal has Llama Stack’s text', async () => {
  const { status, text } = await ask('/v1/models/p%2Fa/b', 'user')
  expect([status, JSON.parse(text)]).toMatchObject([
    403,
    { error: { message: 'Access denied: insufficient permissions for route /v1/models/p/a/b', type: 'permission_error' } },
  ])
})
