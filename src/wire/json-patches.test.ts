import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ObjectPatcher, JsonPatches } from './json-patches.ts'
import { Splice } from './json-edit.ts'
import { findMembers, Members, scanObject, skipValue, visitItems } from './json-scan.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const value = fc.jsonValue({ maxDepth: 3 })
const quoted = fc.array(fc.constantFrom('\\', '"', 'a', '\n', 'é', '{'), { maxLength: 60 }).map((parts) => parts.join(''))
const object = fc.dictionary(quoted, fc.oneof(value, quoted), { maxKeys: 5 })
const spaced = fc.tuple(object, fc.constantFrom(undefined, 1)).map(([given, space]) => JSON.stringify(given, undefined, space))

/** Where the members stand. */
const facts = ({ count, at, open, close, escapedKeys }: Members): object => ({ at: at.slice(0, count * 4), open, close, escapedKeys })

test('the members found in accepted JSON are those that the scan finds', () => {
  fc.assert(
    fc.property(spaced, (text) => {
      const bytes = encoder.encode(text)
      const [scanned, found] = [new Members(), new Members()]
      expect(scanObject(bytes, 0, bytes.length, scanned)).toBe(true)
      expect(findMembers(bytes, 0, found)).toBe(bytes.length)
      expect(facts(found)).toEqual(facts(scanned))
    }),
    { numRuns: 300 },
  )
})

test('each item of a list is visited', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), fc.constantFrom(undefined, 1), (items, space) => {
      const bytes = encoder.encode(JSON.stringify(items, undefined, space))
      const seen: unknown[] = []
      visitItems(bytes, 0, (start) => seen.push(JSON.parse(decoder.decode(bytes.subarray(start, skipValue(bytes, start))))) > 0)
      expect(seen).toEqual(JSON.parse(decoder.decode(bytes)) as unknown[])
    }),
    { numRuns: 200 },
  )
})

test('members that are set, added and removed are so, and the others keep their bytes', () => {
  const names = ['a', 'b', 'c', 'd']
  const members = fc.dictionary(fc.constantFrom(...names), value)
  const edits = fc.dictionary(fc.constantFrom(...names), fc.constantFrom('removed', 'set'))
  fc.assert(
    fc.property(members, edits, fc.constantFrom(undefined, 1), (given, wanted, space) => {
      const bytes = encoder.encode(JSON.stringify(given, undefined, space))
      const patches = new JsonPatches()
      const patcher = new ObjectPatcher(patches)
      patcher.enter(bytes, 0)
      for (const [name, edit] of Object.entries(wanted)) {
        const member = patcher.find(encoder.encode(name))
        if (edit === 'set') patcher.set(member, name, '"new"')
        else if (member >= 0) patcher.remove(member)
      }
      patcher.leave()
      const out = new Splice()
      out.add(bytes, patches.write(out, bytes, 0))
      const expected: Record<string, unknown> = { ...given }
      for (const [name, edit] of Object.entries(wanted)) {
        if (edit === 'set') expected[name] = 'new'
        else delete expected[name]
      }
      expect(JSON.parse(decoder.decode(out.join()))).toEqual(JSON.parse(JSON.stringify(expected)) as object)
    }),
    { numRuns: 300 },
  )
})
