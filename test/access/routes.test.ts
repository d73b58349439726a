import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { RouteRequest } from '../../src/access/policy.ts'
import { compileRoutePolicy, explainRouteMismatch } from '../../src/access/route-policy.ts'
import { routePolicySchema, type RouteRule } from '../../src/access/schema.ts'
import type { Principal } from '../../src/call.ts'
import { runs } from '../../src/testing/sizes.ts'

const admin: Principal = { id: 'alice', attributes: { roles: ['admin'] } }
const plain: Principal = { id: 'bob', attributes: {} }

const policy = (...rules: unknown[]) => compileRoutePolicy(routePolicySchema.parse(rules))
const everything = { permit: { paths: '*' } }
const may = (one: ReturnType<typeof policy>, path: string, over: Partial<RouteRequest> = {}) =>
  one.decide({ principal: plain, method: 'GET', path, ...over }).allowed

/** What a rule's `paths` are, which paths they are about, and which not. */
const patterns: [paths: string | string[], inside: string[], outside: string[]][] = [
  ['/v1/models', ['/v1/models', '/v1/models/', '/v1//models'], ['/v1/models/x', '/v1/model', '/V1/models']],
  ['/v1/models/', ['/v1/models', '/v1/models/'], ['/v1/models/x']],
  ['/v1/models*', ['/v1/models', '/v1/models/a/b', '/v1/models-x'], ['/v1/model', '/x/v1/models']],
  ['/v1/models/*', ['/v1/models/groq/llama', '/v1/models/a::b'], ['/v1/models', '/v1/modelsx']],
  ['*', ['/', '/v1/models', '/metrics'], []],
  ['/', ['/'], ['/v1']],
  ['//v1//models//', ['/v1/models', '/v1//models'], ['/v1/models/x', '/v1']],
  ['/v1//models//*', ['/v1/models/x', '/v1/models//x'], ['/v1/models']],
  ['/v1/%70roviders', ['/v1/providers'], ['/v1/models']],
  ['/v1/models/100%25%2A', ['/v1/models/100%*'], ['/v1/models/100%', '/v1/models/100%25']],
  ['/v1/models/groq/Llama-3.3-70B:free', ['/v1/models/groq/Llama-3.3-70B:free'], ['/v1/models/groq/llama-3.3-70b:free']],
  ['/v1/models/..*', ['/v1/models/..x'], ['/v1/models/x']],
  ['regex:(?i)/V1/models', ['/v1/models'], ['/v1/files']],
  ['regex:/v1/(chat|completions)', ['/v1/chat/completions', '/v1/completions'], ['/v1/models', '/x/v1/chat']],
  ['regex:/v1/files/[^/]+/content$', ['/v1/files/f/content'], ['/v1/files/f/content/x', '/v1/files/a/b/content']],
  [['/v1/models', '/v1/files*'], ['/v1/models', '/v1/files/x'], ['/v1/chat/completions']],
]

describe('which rule decides', () => {
  test('[RTE-1] the first rule that applies; without any, no; without rules, everything', () => {
    const one = policy({ forbid: { paths: '/v1/models' }, description: 'no lists' }, everything)
    expect(one.decide({ principal: plain, method: 'GET', path: '/v1/models' })).toEqual({
      allowed: false,
      rule: 0,
      explicit: true,
      reason: 'rule 1 forbids it (no lists)',
    })
    expect(may(one, '/v1/files')).toBe(true)
    expect(policy({ permit: { paths: '/v1/models' } }).decide({ principal: plain, method: 'GET', path: '/v1/files' })).toEqual({
      allowed: false,
      explicit: false,
      reason: 'no rule applies',
    })
    expect(may(policy(), '/v1/anything')).toBe(true)
  })

  test.each(patterns)('[RTE-2] the path %s', (paths, inside, outside) => {
    const one = policy({ permit: { paths } })
    expect(inside.filter((path) => !may(one, path))).toEqual([])
    expect(outside.filter((path) => may(one, path))).toEqual([])
  })

  test('[RTE-3] methods, where a rule has them; HEAD counts as GET', () => {
    const one = policy(
      { permit: { paths: '/v1/models*', methods: 'GET' } },
      { permit: { paths: '/v1/models*', methods: ['post', 'DELETE'] }, when: 'user with admin in roles' },
    )
    expect(['GET', 'HEAD', 'POST', 'DELETE', 'PUT'].map((method) => may(one, '/v1/models/m', { method }))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ])
    expect(['GET', 'HEAD', 'POST', 'DELETE', 'PUT'].map((method) => may(one, '/v1/models/m', { method, principal: admin }))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ])
  })

  test('[RTE-4] the older prefix and doubled slashes are no way round a rule, in either direction', () => {
    const forbids = policy({ forbid: { paths: '/v1/models*' } }, everything)
    const exact = policy({ forbid: { paths: '/v1/models' } }, everything)
    const regex = policy({ forbid: { paths: 'regex:/v1/models$' } }, everything)
    for (const path of ['/v1/openai/v1/models', '/v1//openai/v1///models/', '//v1/models', '/v1/models//']) {
      for (const one of [forbids, exact, regex]) expect(may(one, path)).toBe(false)
    }
    expect(may(policy({ permit: { paths: '/v1/models' } }), '/v1/openai/v1/models')).toBe(true)
    // A rule about the older prefix itself still is one.
    const older = policy({ forbid: { paths: '/v1/openai/*' } }, everything)
    expect(['/v1/openai/v1/models', '/v1/models'].map((path) => may(older, path))).toEqual([false, true])
  })

  test('[RTE-5] a path too long for a regular expression is not permitted by it, and forbidden', () => {
    const path = `/v1/models/${'x'.repeat(100_000)}`
    expect(may(policy({ permit: { paths: 'regex:/v1/models' } }), path)).toBe(false)
    expect(may(policy({ forbid: { paths: 'regex:/v1/files' } }, everything), path)).toBe(false)
    expect(may(policy({ forbid: { paths: '/v1/files*' } }, everything), path)).toBe(true)
  })
})

describe('conditions', () => {
  test('[RTE-6] when: all must hold; unless: the rule does not apply where any holds', () => {
    const both = ['user with admin in roles', 'user with a in teams']
    const users = [[], ['admin']].flatMap((roles) => [[], ['a']].map((teams) => ({ id: 'x', attributes: { roles, teams } })))
    const responses = (one: ReturnType<typeof policy>) => users.map((principal) => may(one, '/x', { principal }))
    expect(responses(policy({ permit: { paths: '*' }, when: both }))).toEqual([false, false, false, true])
    expect(responses(policy({ permit: { paths: '*' }, unless: both }))).toEqual([true, false, false, false])
    expect(responses(policy({ forbid: { paths: '*' }, unless: both }, everything))).toEqual([false, true, true, true])
  })

  test('[RTE-7] for an anonymous caller conditional permits do not apply, conditional forbids do', () => {
    for (const condition of ['user with admin in roles', 'user with admin not in roles']) {
      for (const mode of ['when', 'unless']) {
        const permits = policy({ permit: { paths: '*' }, [mode]: condition })
        expect(may(permits, '/v1/models', { principal: undefined })).toBe(false)
        const forbids = policy({ forbid: { paths: '/v1/models' }, [mode]: condition }, everything)
        expect(may(forbids, '/v1/models', { principal: undefined })).toBe(false)
        expect(may(forbids, '/v1/files', { principal: undefined })).toBe(true)
      }
    }
    expect(may(policy(everything), '/v1/models', { principal: undefined })).toBe(true)
  })
})

test('[RTE-8] however a path is spelled, the decision is that of its plain form', () => {
  const segment = fc.constantFrom('v1', 'openai', 'models', 'chat', 'a', 'b::c')
  const plainPath = fc
    .array(segment, { minLength: 1, maxLength: 4 })
    .map((parts) => `/v1/${parts.join('/')}`)
    .filter((path) => !path.startsWith('/v1/openai'))
  const pattern = fc.oneof(
    plainPath,
    plainPath.map((path) => `${path}*`),
    plainPath.map((path) => `regex:${path}`),
    fc.constant('*'),
  )
  const rule = fc
    .record({ permit: fc.boolean(), paths: pattern, methods: fc.option(fc.constantFrom('GET', 'POST')) })
    .map(({ permit, ...scope }) => ({ [permit ? 'permit' : 'forbid']: scope })) as fc.Arbitrary<RouteRule>
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 5 }), plainPath, fc.constantFrom('GET', 'HEAD', 'POST'), (rules, path, method) => {
      const one = policy(...rules)
      const decision = one.decide({ principal: plain, method, path })
      for (const spelled of [`${path}/`, `/v1/openai${path}`, path.replaceAll('/', '//'), `/v1/openai${path}//`]) {
        expect(one.decide({ principal: plain, method, path: spelled })).toEqual(decision)
      }
      const applied = one.rules?.findIndex((each) => explainRouteMismatch(each, { principal: plain, method, path }) === undefined) ?? -1
      if (rules.length > 0) expect(applied < 0 ? undefined : applied).toBe(decision.rule)
    }),
    { numRuns: runs(2_000) },
  )
})
