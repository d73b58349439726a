import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ObjectPatcher, JsonPatches } from './json-patches.ts'
import { Splice } from './json-edit.ts'
import { Members, scanObject } from './json-scan.ts'
import { skimArray, skimObject, skimValue } from './json-skim.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const value = fc.jsonValue({ maxDepth: 3 })
const quoted = fc.array(fc.constantFrom('\\', '"', 'a', '\n', 'é', '{'), { maxLength: 60 }).map((parts) => parts.join(''))
const object = fc.dictionary(quoted, fc.oneof(value, quoted), { maxKeys: 5 })
const spaced = fc.tuple(object, fc.constantFrom(undefined, 1)).map(([given, space]) => JSON.stringify(given, undefined, space))

/** Where the members stand. */
const facts = ({ count, at, open, close, escapedKeys }: Members): object => ({ at: at.slice(0, count * 4), open, close, escapedKeys })

test('a skim finds what a scan finds', () => {
  fc.assert(
    fc.property(spaced, (text) => {
      const bytes = encoder.encode(text)
      const [scanned, skimmed] = [new Members(), new Members()]
      expect(scanObject(bytes, 0, bytes.length, scanned)).toBe(true)
      expect(skimObject(bytes, 0, skimmed)).toBe(bytes.length)
      expect(facts(skimmed)).toEqual(facts(scanned))
    }),
    { numRuns: 300 },
  )
})

test('a skim visits each item of a list', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), fc.constantFrom(undefined, 1), (items, space) => {
      const bytes = encoder.encode(JSON.stringify(items, undefined, space))
      const seen: unknown[] = []
      skimArray(bytes, 0, (start) => seen.push(JSON.parse(decoder.decode(bytes.subarray(start, skimValue(bytes, start))))) > 0)
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
