import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { attributesOf } from '../../src/auth/claims.ts'
import { runs } from '../../src/testing/sizes.ts'

describe('claims mapping', () => {
  test('[AUT-31] a claim is looked for along its dots, then by its literal name', () => {
    const claims = {
      realm_access: { roles: ['admin'] },
      'https://corral.test/teams': ['ml'],
      'a.b': 'literal',
      a: { c: 1 },
      x: { y: 'nested' },
      'x.y': 'no',
    }
    const mapping = { 'realm_access.roles': 'roles', 'https://corral.test/teams': 'teams', 'a.b': 'projects', 'x.y': 'namespaces' }
    expect(attributesOf(claims, mapping)).toEqual({ roles: ['admin'], teams: ['ml'], projects: ['literal'], namespaces: ['nested'] })
  })

  test('[AUT-32] lists are taken item by item, texts split at white space, all else has no effect', () => {
    const claims = {
      list: ['a b', 'c', '', 7, null, true, { d: 1 }, ['e']],
      text: ' x \t y\nz ',
      blank: ' ',
      number: 5,
      flag: true,
      nothing: null,
      map: { a: 'b' },
    }
    const mapping = Object.fromEntries(Object.keys(claims).map((name) => [name, name]))
    expect(attributesOf(claims, mapping)).toEqual({ list: ['a b', 'c', '7'], text: ['x', 'y', 'z'] })
  })

  test('[AUT-33] several claims of one attribute are merged without duplicates, and the claims are not modified', () => {
    const claims = { groups: Object.freeze(['ml', 'ops']), team: 'ops core', other: ['core', 'new'] }
    const before = JSON.stringify(claims)
    const mapping = { groups: 'teams', team: 'teams', other: 'teams', absent: 'teams' }
    expect(attributesOf(claims, mapping)).toEqual({ teams: ['ml', 'ops', 'core', 'new'] })
    expect(attributesOf(claims, mapping)).toEqual({ teams: ['ml', 'ops', 'core', 'new'] })
    expect(JSON.stringify(claims)).toBe(before)
  })

  test('what an object inherits is no claim, and no attribute reaches a prototype', () => {
    const claims = JSON.parse('{"__proto__":{"roles":["admin"]},"a":{"__proto__":"x"},"list":["y"]}') as object
    const mapping = JSON.parse(
      '{"constructor.name":"roles","toString":"roles","a.constructor.name":"roles","list":"__proto__","list.length":"roles"}',
    ) as Record<string, string>
    const attributes = attributesOf(claims, mapping)
    expect(Object.getPrototypeOf(attributes)).toBeNull()
    expect(Object.entries(attributes)).toEqual([['__proto__', ['y']]])
    expect(({} as Record<string, unknown>)['y']).toBeUndefined()
    expect(Object.keys(attributesOf(Object.create({ roles: ['admin'] }), { roles: 'roles' }))).toEqual([])
    for (const nothing of [null, undefined, 'text', 5, ['list']])
      expect(Object.keys(attributesOf(nothing, { a: 'b', '0': 'c', length: 'd' }))).toEqual([])
  })

  test('whatever is claimed: texts of the claims only, each once, in frozen lists, nothing changed', () => {
    const name = fc.oneof(fc.constantFrom('a', 'b', 'a.b', '__proto__', 'constructor', 'groups', 'x.y.z'), fc.string({ maxLength: 5 }))
    fc.assert(
      fc.property(
        fc.dictionary(name, fc.jsonValue({ maxDepth: 3 })),
        fc.dictionary(name, fc.constantFrom('roles', 'teams', '__proto__')),
        (claims, mapping) => {
          const before = JSON.stringify(claims)
          const attributes = attributesOf(claims, mapping)
          expect(JSON.stringify(claims)).toBe(before)
          const wanted = new Set<string>(Object.values(mapping))
          for (const [attribute, values] of Object.entries(attributes)) {
            expect(wanted.has(attribute)).toBe(true)
            expect(values.length).toBeGreaterThan(0)
            expect(new Set(values).size).toBe(values.length)
            expect(Object.isFrozen(values)).toBe(true)
            for (const value of values) {
              expect(value).not.toBe('')
              expect(before).toContain(JSON.stringify(value).slice(1, -1))
            }
          }
        },
      ),
      { numRuns: runs(2000) },
    )
  })
})
