import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { compileAccessPolicy, defaultAccessPolicy, explainMismatch } from '../../src/access/access-policy.ts'
import type { Owner, AccessRequest } from '../../src/access/policy.ts'
import { accessPolicySchema, type AccessRule } from '../../src/access/schema.ts'
import { accessDenied } from '../../src/access/refusal.ts'
import { type Principal, systemPrincipal } from '../../src/call.ts'
import { byTheBook } from './reference-policy.ts'
import { action, anyRules, owner, resource, user } from './generate.ts'
import { runs } from '../../src/testing/sizes.ts'

const alice: Principal = { id: 'alice', attributes: { roles: ['admin'], teams: ['a'] } }
const bob: Principal = { id: 'bob', attributes: { teams: ['b'] } }
const anonymous: Principal = { id: 'nobody', attributes: {} }

const ownedBy = (principal: Principal): Owner => ({ id: principal.id, attributes: principal.attributes })
const asked = (principal: Principal | undefined, over: Partial<AccessRequest> & { id?: string; owner?: Owner } = {}): AccessRequest => ({
  principal,
  action: over.action ?? 'read',
  resource: over.resource ?? { type: 'model', id: over.id ?? 'm', owner: over.owner },
})
const policy = (...rules: AccessRule[]) => compileAccessPolicy(accessPolicySchema.parse(rules))
const read = { actions: ['read'], resource: 'model::*' }

describe('which rule decides', () => {
  test('[POL-1] the first rule that applies, and nothing else', () => {
    const rules = policy({ forbid: { actions: 'read', resource: 'model::m' }, description: 'not this one' }, { permit: read })
    expect(rules.decide(asked(alice))).toEqual({ allowed: false, rule: 0, explicit: true, reason: 'rule 1 forbids it (not this one)' })
    expect(rules.decide(asked(alice, { id: 'other' }))).toEqual({ allowed: true, rule: 1, explicit: true, reason: 'rule 2 permits it' })
    const turned = policy({ permit: read }, { forbid: { actions: 'read', resource: 'model::m' } })
    expect(turned.decide(asked(alice)).allowed).toBe(true)
  })

  test('[POL-2] no rule applies: no', () => {
    const decision = policy({ permit: read }).decide(asked(alice, { action: 'delete' }))
    expect(decision).toEqual({ allowed: false, explicit: false, reason: 'no rule applies' })
  })

  test('[POL-3] without authentication everything, and the server itself by identity, not by name', () => {
    const closed = policy({ forbid: { actions: ['create', 'read', 'update', 'delete'] } })
    expect(closed.decide(asked(undefined))).toMatchObject({ allowed: true, explicit: false })
    expect(closed.decide(asked(systemPrincipal))).toMatchObject({ allowed: true, explicit: false })
    expect(closed.decide(asked({ ...systemPrincipal })).allowed).toBe(false)
    expect(defaultAccessPolicy.decide(asked({ ...systemPrincipal }, { owner: ownedBy(alice) })).allowed).toBe(false)
  })

  test('[POL-4] one action as text is that action, not a part of its name', () => {
    for (const actions of ['read', ['read']]) {
      const one = policy({ permit: { actions } })
      expect(one.decide(asked(alice)).allowed).toBe(true)
      expect(one.decide(asked(alice, { action: 'create' })).allowed).toBe(false)
    }
  })

  test.each([
    [undefined, ['model::m', 'model::groq/llama', 'file::x'], []],
    ['model::m', ['model::m'], ['model::mm', 'model::M', 'file::m']],
    ['model::groq/llama-3.3', ['model::groq/llama-3.3'], ['model::groq', 'model::llama-3.3']],
    ['model::*', ['model::m', 'model::groq/llama', 'model::a::b'], ['file::m', 'model_x::m']],
    ['model::groq/*', ['model::groq/llama', 'model::groq/a/b'], ['model::groq', 'model::groqx/llama', 'model::x/model::groq/llama']],
    ['sql_record::openai_files::*', ['sql_record::openai_files::f'], ['sql_record::openai_responses::f']],
    ['sql_record::*', ['sql_record::openai_files::f', 'sql_record::openai_responses::f'], ['file::f']],
    ['regex:model::gpt', ['model::gpt', 'model::gpt-4o/x'], ['model::my-gpt']],
    ['regex:model::.*gpt$', ['model::my-gpt'], ['model::gpt-4o']],
    ['regex:.*::secret', ['model::secret', 'file::secret-1'], ['model::x']],
  ])('[POL-5] the resource %s', (pattern, inside, outside) => {
    const one = policy({ permit: { actions: 'read', ...(pattern && { resource: pattern }) } })
    const allowed = (qualified: string): boolean => {
      const [, type = '', id = ''] = /^(sql_record::\w+|\w+)::(.*)$/.exec(qualified) ?? []
      return one.decide(asked(alice, { resource: { type, id } })).allowed
    }
    expect(inside.filter((text) => !allowed(text))).toEqual([])
    expect(outside.filter(allowed)).toEqual([])
  })

  test('[POL-6] an id too long for a regular expression: a rule that permits does not apply, one that forbids does', () => {
    const id = `groq/${'x'.repeat(100_000)}`
    expect(policy({ permit: { actions: 'read', resource: 'regex:model::groq' } }).decide(asked(alice, { id })).allowed).toBe(false)
    const forbids = policy({ forbid: { actions: 'read', resource: 'regex:model::openai' } }, { permit: read })
    expect(forbids.decide(asked(alice, { id })).allowed).toBe(false)
    expect(forbids.decide(asked(alice, { id: 'groq/x' })).allowed).toBe(true)
  })

  test('[POL-7] principal names one user', () => {
    const one = policy({ permit: { principal: 'alice', actions: 'read' } })
    expect([alice, bob].map((principal) => one.decide(asked(principal)).allowed)).toEqual([true, false])
  })
})

const when = (condition: string | string[]) => policy({ permit: read, when: condition })

describe('conditions', () => {
  test.each([
    [
      'user is owner',
      [
        [alice, alice, true],
        [bob, alice, false],
        [alice, undefined, false],
      ],
    ],
    [
      'user is not owner',
      [
        [alice, alice, false],
        [bob, alice, true],
        [alice, undefined, true],
      ],
    ],
    [
      'user with admin in roles',
      [
        [alice, undefined, true],
        [bob, undefined, false],
        [anonymous, undefined, false],
      ],
    ],
    [
      'user with admin not in roles',
      [
        [alice, undefined, false],
        [bob, undefined, true],
        [anonymous, undefined, true],
      ],
    ],
    [
      'user with a in teams',
      [
        [alice, bob, true],
        [bob, alice, false],
      ],
    ],
    [
      'user in owners teams',
      [
        [alice, alice, true],
        [bob, alice, false],
        [alice, undefined, false],
        [anonymous, alice, false],
        [alice, anonymous, false],
      ],
    ],
    [
      'user not in owners teams',
      [
        [alice, alice, false],
        [bob, alice, true],
        [alice, undefined, true],
        [anonymous, anonymous, true],
      ],
    ],
    [
      'resource is unowned',
      [
        [alice, undefined, true],
        [alice, alice, false],
        [alice, anonymous, false],
      ],
    ],
    [
      'user  with\tadmin in  roles',
      [
        [alice, undefined, true],
        [bob, undefined, false],
      ],
    ],
    [
      'user with not in roles',
      [
        [{ id: 'x', attributes: { roles: ['not'] } }, undefined, true],
        [alice, undefined, false],
      ],
    ],
    [
      'user with telemetry.read in scopes',
      [
        [{ id: 'x', attributes: { scopes: ['telemetry.read'] } }, undefined, true],
        [alice, undefined, false],
      ],
    ],
    ['user with admin in constructor', [[alice, undefined, false]]],
  ] as [string, [Principal, Principal | undefined, boolean][]][])('[POL-8] %s', (condition, cases) => {
    for (const [who, whose, expected] of cases) {
      expect(when(condition).decide(asked(who, { owner: whose && ownedBy(whose) })).allowed).toBe(expected)
    }
  })

  test('[POL-9] when: all must hold; unless: the rule applies unless all hold', () => {
    const both = ['user with admin in roles', 'user is owner']
    const grid = [ownedBy(alice), ownedBy(bob), undefined].flatMap((whose) => [alice, bob].map((who) => asked(who, { owner: whose })))
    const holds = grid.map(({ principal, resource: { owner: whose } }) => principal === alice && whose?.id === 'alice')
    expect(grid.map((question) => when(both).decide(question).allowed)).toEqual(holds)
    const unless = policy({ permit: read, unless: both })
    expect(grid.map((question) => unless.decide(question).allowed)).toEqual(holds.map((one) => !one))
  })

  test('[POL-10] a rule that forbids with a condition forbids where its opposite would permit', () => {
    const except = policy({ forbid: read, unless: 'user with admin in roles' }, { permit: read })
    // A user of whom nothing is known is no admin.
    expect([alice, bob, anonymous].map((who) => except.decide(asked(who)).allowed)).toEqual([true, false, false])
    const contractors = policy({ forbid: read, when: 'user with contractor in roles' }, { permit: read })
    const contractor = { id: 'c', attributes: { roles: ['contractor'] } }
    expect([alice, anonymous, contractor].map((who) => contractors.decide(asked(who)).allowed)).toEqual([true, true, false])
  })
})

describe('the default policy', () => {
  test.each(['roles', 'teams', 'projects', 'namespaces'])('[POL-11] what is shared by way of %s', (attribute) => {
    const shared = (one: string[], other: string[]) =>
      defaultAccessPolicy.decide(
        asked({ id: 'x', attributes: { [attribute]: one } }, { action: 'delete', owner: { id: 'y', attributes: { [attribute]: other } } }),
      )
    expect(shared(['a', 'b'], ['b'])).toMatchObject({ allowed: true, explicit: false })
    expect(shared(['a'], ['b']).allowed).toBe(false)
    expect(shared([], []).allowed).toBe(false)
  })

  test('[POL-11] the caller’s own and unowned resources, and no other attribute', () => {
    expect(compileAccessPolicy([])).toBe(defaultAccessPolicy)
    expect(defaultAccessPolicy.isDefault).toBe(true)
    expect(defaultAccessPolicy.decide(asked(anonymous)).allowed).toBe(true)
    expect(defaultAccessPolicy.decide(asked(anonymous, { owner: ownedBy(anonymous) })).allowed).toBe(true)
    expect(defaultAccessPolicy.decide(asked(anonymous, { owner: ownedBy(alice) })).allowed).toBe(false)
    const scopes = { scopes: ['s'] }
    expect(defaultAccessPolicy.decide(asked({ id: 'x', attributes: scopes }, { owner: { id: 'y', attributes: scopes } })).allowed).toBe(
      false,
    )
  })
})

describe('any policy', () => {
  test('[POL-12] decides as Llama Stack’s rules say', () => {
    fc.assert(
      fc.property(anyRules, user, action, resource, (rules, principal, what, which) => {
        fc.pre(rules.length > 0)
        const question = { principal, action: what, resource: which }
        const compiled = compileAccessPolicy(accessPolicySchema.parse(rules))
        const decision = compiled.decide(question)
        expect(decision.allowed).toBe(byTheBook(rules, question))
        // What explains a decision agrees with it: the rules before the one that decided say why not.
        const first = compiled.rules?.findIndex((rule) => explainMismatch(rule, question) === undefined) ?? -1
        expect(first < 0 ? undefined : first).toBe(decision.rule)
      }),
      { numRuns: runs(5_000) },
    )
  })

  test('no owner’s attribute is in the text of a refusal', () => {
    fc.assert(
      fc.property(user, owner, (principal, whose) => {
        const marked = whose && { ...whose, id: 'MARKED', attributes: { MARKED: ['MARKED'] } }
        const question = { principal, action: 'delete' as const, resource: { type: 'model', id: 'm', owner: marked } }
        expect(accessDenied(question, { allowed: false, explicit: false, reason: 'MARKED' }).message).not.toContain('MARKED')
      }),
    )
  })
})

test('[POL-13] the text of a refusal is Llama Stack’s', () => {
  const refused = accessDenied(asked(alice, { action: 'delete' }), { allowed: false, explicit: false, reason: 'no rule applies' })
  expect(refused.status).toBe(403)
  expect(refused.type).toBe('permission_error')
  expect(refused.message).toBe(
    "User 'alice' (attributes: roles=['admin'], teams=['a']) cannot perform action 'delete' on resource 'model::m'",
  )
  expect(accessDenied(asked(anonymous), refused as never).message).toBe("User 'nobody' cannot perform action 'read' on resource 'model::m'")
  expect(refused.denial).toEqual({ by: 'access_policy', reason: 'no rule applies', action: 'delete', resource: 'model::m' })
})
