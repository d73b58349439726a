import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { BoundedMap } from './bounded-map.ts'
import { runs } from './testing/sizes.ts'

test('[ARC-3] holds the keys that were set last, and no more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.tuple(fc.nat(7), fc.nat(100), fc.boolean())), (maxSize, steps) => {
      const map = new BoundedMap<number, number>(maxSize)
      let model: [number, number][] = []
      for (const [key, value, removes] of steps) {
        model = model.filter(([other]) => other !== key)
        if (removes) map.delete(key)
        else {
          map.set(key, value)
          model = [...model, [key, value] satisfies [number, number]].slice(-maxSize)
        }
        expect(map.size).toBe(model.length)
        for (let at = 0; at < 8; at++) expect(map.get(at)).toBe(model.find(([other]) => other === at)?.[1])
      }
      map.clear()
      expect([map.size, map.has(steps[0]?.[0] ?? 0)]).toEqual([0, false])
    }),
    { numRuns: runs(100) },
  )
})
