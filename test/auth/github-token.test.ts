import { describe, expect, test } from 'bun:test'
import { jsonReply, mockUpstream, type MockUpstream, stallBeforeHead } from '../../src/testing/index.ts'
import { chainOf, guarded, outcome, whoIs } from './guarded.ts'

const ada = { login: 'ada', id: 42, name: 'Ada', type: 'User' }

/** GitHub's API for one user in so many organisations. */
async function github(organizations = 0): Promise<MockUpstream> {
  const api = await mockUpstream()
  api.respond(({ path }) => {
    if (path === '/user') return jsonReply(ada)
    const query = new URLSearchParams(path.split('?')[1])
    const [size, page] = [Number(query.get('per_page')), Number(query.get('page'))]
    const all = Array.from({ length: organizations }, (_, index) => ({ login: `org-${index}`, id: index }))
    return path.startsWith('/user/orgs?') ? jsonReply(all.slice((page - 1) * size, page * size)) : undefined
  })
  return api
}

const section = (api: MockUpstream, over: Record<string, unknown> = {}) => ({
  type: 'github_token',
  github_api_base_url: `${api.url}/`,
  ...over,
})

const bad = 'GitHub token validation failed. Please check your token and try again.'

describe('github_token', () => {
  test('[AUT-26] a token is its login, with the organisations of every page as teams', async () => {
    await using api = await github(230)
    await using server = await guarded(section(api))
    const { status, line } = await server.ask('ghp_secret')
    expect([status, line.fields['principal']]).toEqual([200, 'ada'])
    const pages = api.requests.map(({ path }) => path)
    expect(pages).toEqual(['/user', ...[1, 2, 3].map((page) => `/user/orgs?per_page=100&page=${page}`)])
    const [first] = api.requests
    expect(first?.headers).toMatchObject({
      authorization: 'Bearer ghp_secret',
      accept: 'application/vnd.github+json',
      'user-agent': 'corral',
    })
    const { attributes } = await whoIs(chainOf(section(api)), 'ghp_secret')
    expect(attributes['roles']).toEqual(['ada'])
    expect(attributes['teams']).toHaveLength(230)
    const mapped = chainOf(section(api, { claims_mapping: { id: 'ids', organizations: 'teams' }, principal_prefix: 'github:' }))
    expect(await whoIs(mapped, 'ghp_secret')).toMatchObject({ id: 'github:ada', attributes: { ids: ['42'] } })
  })

  test('[AUT-27] where organisations may not be listed there are no teams; where they cannot be, a 503', async () => {
    for (const [reply, expected] of [
      [jsonReply({ message: 'Resource not accessible' }, 403), 'ada'],
      [jsonReply({ message: 'Not Found' }, 404), 'ada'],
      [jsonReply({ message: 'Bad credentials' }, 401), `401 ${bad}`],
      [jsonReply({}, 500), '503 Authentication service unavailable'],
      [jsonReply({ message: 'API rate limit exceeded' }, 403), '503 Authentication service unavailable'],
      [jsonReply({ organisations: 'invalid' }), '503 Authentication service unavailable'],
      [stallBeforeHead, '503 Authentication service timeout'],
    ] as const) {
      await using api = await github()
      api.enqueue(jsonReply(ada), reply)
      const chain = chainOf(section(api, { timeout_seconds: 0.5 }))
      expect(await outcome(chain, 'ghp_secret')).toBe(expected)
      if (expected === 'ada') expect((await whoIs(chain, 'ghp_secret')).attributes).toEqual({ roles: ['ada'] })
    }
  })

  test('[AUT-28] an invalid token is a 401; rate limits, errors and invalid responses of GitHub a 503', async () => {
    await using api = await github()
    await using server = await guarded(section(api, { timeout_seconds: 0.5 }))
    const service = 'Authentication service unavailable'
    const cases: [status: number, said: string, reply: Parameters<typeof api.enqueue>[0]][] = [
      [401, bad, jsonReply({ message: 'Bad credentials' }, 401)],
      [401, bad, jsonReply({ message: 'Resource not accessible by integration' }, 403, { 'x-ratelimit-remaining': '12' })],
      [401, bad, { status: 301, headers: { location: '/elsewhere' } }],
      [503, service, jsonReply({ message: 'x' }, 403, { 'x-ratelimit-remaining': '0' })],
      [503, service, jsonReply({ message: 'x' }, 403, { 'retry-after': '30' })],
      [503, service, jsonReply({ message: 'Maximum number of login attempts exceeded. Please try again later.' }, 403)],
      [503, service, jsonReply({}, 429)],
      [503, service, jsonReply({}, 502)],
      [503, service, { body: '<html>' }],
      [503, service, jsonReply({ id: 42 })],
      [503, service, jsonReply({ login: ['ada'] })],
      [503, 'Authentication service timeout', stallBeforeHead],
    ]
    for (const [index, [expected, said, reply]] of cases.entries()) {
      api.enqueue(reply, jsonReply([]))
      const { status, error, headers } = await server.ask(`ghp_secret${index}`)
      expect([index, status, error?.message]).toEqual([index, expected, said])
      if (index === 4) expect(headers.get('retry-after')).toBe('30')
      // What the next is to get.
      await drain(api)
    }
    expect(JSON.stringify(server.lines)).not.toContain('ghp_secret')
  })

  test('[AUT-29] what is no token of GitHub’s by its form is not shown to GitHub', async () => {
    const chain = chainOf({ type: 'github_token' })
    for (const token of ['opaque', 'eyJhbGciOiJub25lIn0.e30.', 'sk-proj-abc', 'glpat-abc', 'ghp_'])
      expect(await outcome(chain, token)).toBe(`401 ${bad}`)
    await using api = await github()
    const enterprise = chainOf(section(api))
    expect(await outcome(enterprise, 'eyJhbGciOiJub25lIn0.e30.c2ln')).toBe(`401 ${bad}`)
    expect(api.requests).toHaveLength(0)
    expect(await outcome(enterprise, 'token-of-an-older-server')).toBe('ada')
  })
})

/** Takes what is left in the queue. */
async function drain(api: MockUpstream): Promise<void> {
  api.enqueue({ status: 204 })
  while ((await fetch(`${api.url}/drain`)).status !== 204);
}
