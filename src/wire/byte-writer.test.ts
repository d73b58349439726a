import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ByteWriter, Slab } from './byte-writer.ts'

test('an array that was handed out does not change when more is written', () => {
  const pieces = fc.array(fc.array(fc.nat(40_000), { maxLength: 6 }), { maxLength: 30 })
  fc.assert(
    fc.property(pieces, (rounds) => {
      const slab = new Slab()
      const writers = [new ByteWriter(slab), new ByteWriter(slab)]
      const handedOut: { taken: Uint8Array; expected: Uint8Array }[] = []
      for (const [round, sizes] of rounds.entries()) {
        const writer = writers[round % 2]!
        const all = sizes.map((size, at) => new Uint8Array(size).fill(round * 7 + at))
        for (const piece of all) writer.add(piece)
        handedOut.push({ taken: writer.take(), expected: Buffer.concat(all) })
        expect(writer.length).toBe(0)
      }
      for (const { taken, expected } of handedOut) expect(Buffer.compare(taken, expected)).toBe(0)
    }),
    { numRuns: 30 },
  )
})

test('adds parts and copies what was written so far', () => {
  const writer = new ByteWriter(new Slab())
  writer.add(Uint8Array.of(1, 2, 3, 4), 1, 3)
  writer.add(Uint8Array.of(9))
  expect([...writer.copyFrom(1)]).toEqual([3, 9])
  expect([...writer.take()]).toEqual([2, 3, 9])
})
