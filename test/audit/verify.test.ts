import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { AuditEntry } from '../../src/telemetry/audit/audit-log.ts'
import { type ChainState, chainStart, marker, writeLine } from '../../src/telemetry/audit/line.ts'
import { type FileContent, verifyChain } from '../../src/telemetry/audit/verify.ts'
import { runs } from '../../src/testing/sizes.ts'

const entry: fc.Arbitrary<AuditEntry> = fc.record(
  {
    event: fc.constantFrom('request.denied', 'api_key.created', 'model.registered', marker.lost),
    principal: fc.string({ maxLength: 12, unit: 'grapheme' }),
    reason: fc.string({ maxLength: 12, unit: 'binary' }),
    status: fc.integer({ min: 400, max: 599 }),
    detail: fc.dictionary(fc.string({ maxLength: 6 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
  },
  { requiredKeys: ['event'] },
)

/** A chain over several files, as the writer makes it. */
const chain = fc.array(fc.array(entry, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }).map((files) => {
  let state: ChainState = chainStart
  let time = Date.UTC(2026, 10, 22)
  const add = (content: AuditEntry): string => {
    const line = writeLine(state, { time: time++, entry: content })
    state = line.state
    return `${line.text}\n`
  }
  return files.map((entries, index): FileContent => {
    const written = entries.map(add)
    if (index < files.length - 1) written.push(add({ event: marker.rotated, detail: { next: nameOf(index + 1) } }))
    return { name: nameOf(index), bytes: Buffer.from(written.join('')) }
  })
})

const nameOf = (index: number): string => `server-${String(index + 1).padStart(6, '0')}.jsonl`

const check = (files: readonly FileContent[]) => verifyChain('server', files)
const changes = runs(1_000)

function lines({ bytes }: FileContent): Buffer[] {
  const found: Buffer[] = []
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0x0a, start) + 1
    found.push(bytes.subarray(start, end))
    start = end
  }
  return found
}

function withFile(files: readonly FileContent[], at: number, bytes: Buffer): FileContent[] {
  return files.map((file, index) => (index === at ? { ...file, bytes } : file))
}

/** A file of the chain, a place in it and whatever else a change needs. */
const somewhere = <T>(more: fc.Arbitrary<T>) => fc.tuple(chain, fc.nat(), fc.nat(), more)

describe('any change of a chain is found', () => {
  test('an untouched chain holds', async () => {
    await fc.assert(
      fc.asyncProperty(chain, async (files) => {
        const { findings, lines: count, head } = await check(files)
        expect(findings).toEqual([])
        expect(count).toBe(files.flatMap(lines).length)
        expect(head).toMatch(/^[0-9a-f]{64}$/)
      }),
      { numRuns: changes },
    )
  })

  test('[AUD-3] a changed byte', async () => {
    await fc.assert(
      fc.asyncProperty(somewhere(fc.integer({ min: 1, max: 255 })), async ([files, fileSeed, place, change]) => {
        const at = fileSeed % files.length
        const bytes = Buffer.from(files[at]!.bytes)
        const index = place % bytes.length
        bytes[index] = bytes[index]! ^ change
        expect((await check(withFile(files, at, bytes))).findings).not.toEqual([])
      }),
      { numRuns: changes * 3 },
    )
  })

  test('[AUD-3] an inserted byte, or a removed one', async () => {
    await fc.assert(
      fc.asyncProperty(
        somewhere(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.boolean())),
        async ([files, seed, place, [byte, insert]]) => {
          const at = seed % files.length
          const { bytes } = files[at]!
          const index = place % (bytes.length + (insert ? 1 : 0))
          const changed = insert
            ? Buffer.concat([bytes.subarray(0, index), Buffer.from([byte]), bytes.subarray(index)])
            : Buffer.concat([bytes.subarray(0, index), bytes.subarray(index + 1)])
          expect((await check(withFile(files, at, changed))).findings).not.toEqual([])
        },
      ),
      { numRuns: changes * 3 },
    )
  })

  test('[AUD-3] removed lines, unless they are the very last', async () => {
    await fc.assert(
      fc.asyncProperty(somewhere(fc.integer({ min: 1, max: 3 })), async ([files, seed, place, many]) => {
        const at = seed % files.length
        const all = lines(files[at]!)
        const from = place % all.length
        fc.pre(at < files.length - 1 || from + many < all.length)
        const rest = [...all.slice(0, from), ...all.slice(from + many)]
        const { findings } = await check(withFile(files, at, Buffer.concat(rest)))
        expect(findings.map(({ why }) => why)).toContain('removed')
      }),
      { numRuns: changes },
    )
  })

  test('[AUD-3] two lines that changed places', async () => {
    await fc.assert(
      fc.asyncProperty(somewhere(fc.nat()), async ([files, seed, one, other]) => {
        const at = seed % files.length
        const all = lines(files[at]!)
        const [a, b] = [one % all.length, other % all.length]
        fc.pre(a !== b)
        const swapped = all.map((line, index) => (index === a ? all[b]! : index === b ? all[a]! : line))
        const { findings } = await check(withFile(files, at, Buffer.concat(swapped)))
        expect(findings.map(({ why }) => why)).toContain('reordered')
      }),
      { numRuns: changes },
    )
  })

  test('[AUD-3] an inserted line: one of the chain once more, or any other', async () => {
    await fc.assert(
      fc.asyncProperty(somewhere(fc.option(fc.nat(), { nil: undefined })), async ([files, seed, place, copy]) => {
        const at = seed % files.length
        const all = lines(files[at]!)
        const everywhere = files.flatMap(lines)
        const line = copy === undefined ? Buffer.from('{"seq":1,"event":"nothing"}\n') : everywhere[copy % everywhere.length]!
        const index = place % (all.length + 1)
        const { findings } = await check(withFile(files, at, Buffer.concat([...all.slice(0, index), line, ...all.slice(index)])))
        expect(findings).not.toEqual([])
      }),
      { numRuns: changes },
    )
  })

  test('[AUD-3] a file cut off anywhere, unless at the end of a line of the newest', async () => {
    await fc.assert(
      fc.asyncProperty(somewhere(fc.constant(undefined)), async ([files, seed, place]) => {
        const at = seed % files.length
        const { bytes } = files[at]!
        const end = place % bytes.length
        fc.pre(at < files.length - 1 || (end > 0 && bytes[end - 1] !== 0x0a))
        const { findings } = await check(withFile(files, at, bytes.subarray(0, end)))
        expect(findings).not.toEqual([])
        if (at === files.length - 1) expect(findings.map(({ why }) => why)).toEqual(['torn'])
      }),
      { numRuns: changes },
    )
  })

  test('[AUD-3] a file that is missing, the newest included', async () => {
    await fc.assert(
      fc.asyncProperty(fc.tuple(chain, fc.nat()), async ([files, seed]) => {
        fc.pre(files.length > 1)
        const { findings } = await check(files.filter((_, index) => index !== seed % files.length))
        expect(findings.map(({ why }) => why)).toContain('removed')
      }),
      { numRuns: changes },
    )
  })

  test('[AUD-3] bytes that read the same and are not', async () => {
    const { text } = writeLine(chainStart, { time: 0, entry: { event: 'x', reason: '\uFFFD' } })
    const whole = Buffer.from(`${text}\n`)
    const at = whole.indexOf('\uFFFD')
    const changed = Buffer.concat([whole.subarray(0, at), Buffer.from([0xff]), whole.subarray(at + 3)])
    expect(changed.toString()).toBe(whole.toString())
    expect((await check([{ name: nameOf(0), bytes: whole }])).findings).toEqual([])
    expect((await check([{ name: nameOf(0), bytes: changed }])).findings).toMatchObject([{ line: 1, why: 'changed' }])
  })

  test('[AUD-3] a line whose own hash was made anew', async () => {
    await fc.assert(
      fc.asyncProperty(somewhere(fc.constant(undefined)), async ([files, seed, place]) => {
        const at = seed % files.length
        const all = lines(files[at]!)
        const index = place % all.length
        fc.pre(at < files.length - 1 || index < all.length - 1)
        const { seq, prev } = JSON.parse(all[index]!.toString()) as { seq: number; prev: string }
        const forged = writeLine({ seq: seq - 1, hash: prev }, { time: 0, entry: { event: 'nothing.happened' } })
        const { findings } = await check(withFile(files, at, Buffer.concat(all.with(index, Buffer.from(`${forged.text}\n`)))))
        expect(findings.map(({ why }) => why)).toContain('changed')
      }),
      { numRuns: changes },
    )
  })
})

describe('what a chain cannot tell, and the remedy', () => {
  test('[AUD-4] whole lines cut from the very end are found only with a kept head', async () => {
    await fc.assert(
      fc.asyncProperty(fc.tuple(chain, fc.nat()), async ([files, seed]) => {
        const before = await check(files)
        const newest = lines(files.at(-1)!)
        fc.pre(newest.length > 1)
        const rest = newest.slice(0, 1 + (seed % (newest.length - 1)))
        const cut = withFile(files, files.length - 1, Buffer.concat(rest))
        const wanted = new Set([before.head!])
        const after = await verifyChain('server', cut, { wanted })
        expect(after.findings).toEqual([])
        expect([...wanted]).toEqual([before.head!])
      }),
      { numRuns: runs(200) },
    )
  })

  test('[AUD-4] a chain that has grown still holds the head that was kept', async () => {
    await fc.assert(
      fc.asyncProperty(chain, async (files) => {
        const all = files.flatMap(lines)
        const { hash } = JSON.parse(all[Math.floor(all.length / 2)]!.toString()) as { hash: string }
        const wanted = new Set([hash])
        await verifyChain('server', files, { wanted })
        expect(wanted.size).toBe(0)
      }),
      { numRuns: runs(200) },
    )
  })
})
