import { describe, expect, test } from 'bun:test'
import { jsonReply, type MockRequest, mockUpstream, resetBeforeHead, stallBeforeHead } from '../../src/testing/index.ts'
import { chainOf, guarded, outcome, whoIs } from './guarded.ts'

const ada = { principal: 'ada', attributes: { roles: ['admin'], teams: ['ml', 'ops'] }, message: 'welcome' }

/** What the endpoint received about the request. */
function requestIn(question: Pick<MockRequest, 'json'> | undefined): { path: string; headers: Record<string, string> } {
  return question?.json?.['request'] as { path: string; headers: Record<string, string> }
}

describe('custom', () => {
  test('[AUT-34] the endpoint is asked with the key, the path and the query; it names principal and attributes', async () => {
    await using endpoint = await mockUpstream()
    endpoint.respond(() => jsonReply(ada))
    await using server = await guarded({ type: 'custom', endpoint: `${endpoint.url}/check` })
    const { status, line } = await server.ask('my-key', '/v1/models?a=1&a=2&b=3&api_key=hidden&access_token=hidden')
    expect([status, line.fields['principal']]).toEqual([200, 'ada'])
    const [request] = endpoint.requests
    expect([request?.method, request?.path]).toEqual(['POST', '/check'])
    expect(request?.json).toMatchObject({ api_key: 'my-key', request: { path: '/v1/models', params: { a: ['1', '2'], b: ['3'] } } })
    expect(request?.text).not.toContain('hidden')
    expect(await whoIs(chainOf({ type: 'custom', endpoint: endpoint.url }), 'my-key')).toEqual({
      id: 'ada',
      authenticator: 'custom',
      attributes: { roles: ['admin'], teams: ['ml', 'ops'] },
    })
  })

  test('[AUT-35] only safe request headers are forwarded, and those that the configuration names', async () => {
    await using endpoint = await mockUpstream()
    endpoint.respond(() => jsonReply(ada))
    const headers = {
      authorization: 'Bearer my-key',
      'x-goog-api-key': 'my-key',
      cookie: 'session=hidden',
      'x-llamastack-provider-data': '{"openai_api_key":"hidden"}',
      'x-ogx-provider-data': '{"openai_api_key":"hidden"}',
      'proxy-authorization': 'Basic hidden',
      'x-forwarded-access-token': 'hidden',
      'x-user': 'hidden',
      'x-tenant': 'blue',
      'user-agent': 'test/1',
      'x-request-id': 'req-1',
    }
    const chain = chainOf({ type: 'custom', endpoint: endpoint.url, forward_headers: ['X-Tenant'] })
    expect(await outcome(chain, headers)).toBe('ada')
    const [request] = endpoint.requests
    expect(requestIn(request).headers).toEqual({ 'x-tenant': 'blue', 'user-agent': 'test/1', 'x-request-id': 'req-1' })
    expect(`${request?.text}${JSON.stringify(request?.headers)}`).not.toContain('hidden')
    expect(request?.headers['authorization']).toBeUndefined()
  })

  test('[AUT-36] another status is a 401 that names it, a malformed response a 401, an outage a 503', async () => {
    await using endpoint = await mockUpstream()
    await using server = await guarded({ type: 'custom', endpoint: endpoint.url, timeout_seconds: 0.5 })
    const malformed = 'Invalid authentication response format'
    const cases: [status: number, said: string, reply: Parameters<typeof endpoint.enqueue>[0]][] = [
      [401, 'Authentication failed: 401', jsonReply({ message: 'no' }, 401)],
      [401, 'Authentication failed: 403', jsonReply({}, 403)],
      [401, 'Authentication failed: 302', { status: 302, headers: { location: endpoint.url } }],
      [401, 'Authentication failed: 204', { status: 204 }],
      [401, malformed, { body: '<html>' }],
      [401, malformed, jsonReply({})],
      [401, malformed, jsonReply({ principal: '' })],
      [401, malformed, jsonReply({ principal: 7 })],
      [401, malformed, jsonReply({ principal: 'ada', attributes: ['admin'] })],
      [401, malformed, jsonReply({ principal: 'ada', attributes: { roles: 'admin' } })],
      [401, malformed, jsonReply({ principal: 'ada', attributes: { roles: [1] } })],
      [503, 'Authentication service unavailable', jsonReply({}, 500)],
      [503, 'Authentication service unavailable', jsonReply({}, 429)],
      [503, 'Authentication service unavailable', resetBeforeHead],
      [503, 'Authentication service unavailable', { body: JSON.stringify({ ...ada, x: 'x'.repeat(1_100_000) }) }],
      [503, 'Authentication service timeout', stallBeforeHead],
      [200, '', jsonReply({ principal: 'ada', attributes: null })],
      [200, '', jsonReply({ principal: 'ada' })],
    ]
    for (const [index, [expected, said, reply]] of cases.entries()) {
      endpoint.enqueue(reply)
      const { status, error, headers } = await server.ask(`key-secret-${index}`)
      expect([index, status, error?.message ?? '']).toEqual([index, expected, said])
      expect(headers.has('www-authenticate')).toBe(expected === 401)
      expect(headers.has('retry-after')).toBe(expected === 503)
    }
    expect(JSON.stringify(server.lines)).not.toContain('key-secret')
  })

  test('[AUT-37] a response is cached only for the path that it was given for', async () => {
    await using endpoint = await mockUpstream()
    endpoint.respond(({ json }) => (requestIn({ json }).path === '/v1/models' ? jsonReply(ada) : jsonReply({}, 403)))
    const chain = chainOf({ type: 'custom', endpoint: endpoint.url })
    for (let round = 0; round < 3; round++) {
      expect(await outcome(chain, 'my-key', { path: '/v1/models?limit=1' })).toBe('ada')
      expect(await outcome(chain, 'my-key', { path: '/v1/files' })).toBe('401 Authentication failed: 403')
    }
    expect(endpoint.requests).toHaveLength(2)
  })

  test('an attribute cannot reach an object’s prototype', async () => {
    await using endpoint = await mockUpstream()
    endpoint.enqueue({ body: '{"principal":"ada","attributes":{"__proto__":["admin"],"constructor":["x"]}}' })
    const { attributes } = await whoIs(chainOf({ type: 'custom', endpoint: endpoint.url }), 'my-key')
    expect(Object.getPrototypeOf(attributes)).toBeNull()
    expect(attributes['toString']).toBeUndefined()
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
  })
})
