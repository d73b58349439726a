import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { LineWriter, type WriteBytes } from './line-writer.ts'

/** What one system call does: takes some of the bytes, or fails. */
type Outcome = number | 'ENOSPC' | 'EAGAIN' | 'EPIPE' | 'EIO'

/** A file whose writes have the given outcomes, in order; further writes succeed. */
function fileThat(outcomes: readonly Outcome[]) {
  const left = [...outcomes]
  const file = { text: '' }
  const write: WriteBytes = (_fd, bytes, done) => {
    const outcome = left.shift() ?? bytes.length
    if (typeof outcome === 'string') {
      queueMicrotask(() => done(Object.assign(new Error(outcome), { code: outcome }), 0))
      return
    }
    const taken = bytes.subarray(0, Math.max(1, Math.min(outcome, bytes.length)))
    file.text += taken.toString('latin1')
    queueMicrotask(() => done(null, taken.length))
  }
  return { file, write }
}

const failing = (times: number) => Array<Outcome>(times).fill('EIO')
const isNotice = (line: string) => line.includes('log lines dropped')

const outcomes = fc.array(fc.oneof(fc.nat({ max: 400 }), fc.constantFrom<Outcome>('ENOSPC', 'EAGAIN')), { maxLength: 12 })

/** A disk that is full at each place of a line, and of the notice of the line that it lost and the lines behind it. */
const fullAnywhere = [
  ...Array.from({ length: 30 }, (_, at): [Outcome[], number[]] => [
    [at, 'ENOSPC'],
    [2, 1],
  ]),
  ...Array.from({ length: 70 }, (_, at): [Outcome[], number[]] => [
    [0, 'ENOSPC', 90 + at, 'ENOSPC'],
    [1, 2],
  ]),
]

test('[OPS-7] every line is written whole and in order, or counted; the log reports how many, however a disk fails', async () => {
  await fc.assert(
    fc.asyncProperty(outcomes, fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }), async (calls, batches) => {
      const { file, write } = fileThat(calls)
      const writer = new LineWriter(0, write)
      let lines = 0
      for (const size of batches) {
        // More than is gathered, so that each batch is written at once.
        for (let at = 0; at < size; at++) writer.write(`<${lines++}${'x'.repeat(at === size - 1 ? 65_536 : 20)}>\n`)
        while (!writer.isIdle) await Bun.sleep(1)
      }
      writer.write(`<${lines++}>\n`)
      await writer.close()
      const whole = file.text.split('\n').filter((line) => /^<\d+x*>$/.test(line))
      const numbers = whole.map((line) => Number(/\d+/.exec(line)?.[0]))
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
      expect(new Set(numbers).size).toBe(numbers.length)
      expect(whole.length + writer.dropped).toBe(lines)
      const reported = file.text.split('\n').filter((line) => isNotice(line) && line.endsWith('}'))
      const counts = reported.map((line) => (JSON.parse(line) as { dropped: number }).dropped)
      // A loss in the last write cannot be reported.
      expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(writer.dropped)
      if (calls.every((outcome) => outcome !== 'ENOSPC')) expect([writer.dropped, reported]).toEqual([0, []])
    }),
    { numRuns: 160, examples: fullAnywhere },
  )
})

test('[OPS-7] once the reader is gone every line is lost, and counted', async () => {
  const { file, write } = fileThat(['EPIPE'])
  const writer = new LineWriter(0, write)
  for (let at = 0; at < 3; at++) writer.write(`${'x'.repeat(40_000)}\n`)
  while (!writer.isIdle) await Bun.sleep(1)
  writer.write('late\n')
  expect([writer.dropped, file.text]).toEqual([4, ''])
  await writer.close()
})

test('[OPS-7] once a full disk has room again the log continues, and first reports how many lines are missing', async () => {
  const { file, write } = fileThat(['ENOSPC', 'ENOSPC'])
  const writer = new LineWriter(0, write)
  for (let at = 0; at < 3; at++) {
    writer.write(`${at}${'x'.repeat(65_536)}\n`)
    while (!writer.isIdle) await Bun.sleep(1)
  }
  await writer.close()
  const [notice = '', line = '', ...rest] = file.text.split('\n')
  expect(JSON.parse(notice)).toMatchObject({ level: 'warn', msg: 'log lines dropped: they could not be written', dropped: 2 })
  expect([line.slice(0, 2), rest, writer.dropped]).toEqual(['2x', [''], 2])
})

test.each([
  ['99 times in a row, twice, is tried again', [99, 99], 2],
  ['100 times in a row is a terminal that hung up', [100, 5], 0],
])('[OPS-7] EIO %s', async (_, [first = 0, second = 0], taken) => {
  const { file, write } = fileThat([...failing(first), 1e9, ...failing(second)])
  let calls = 0
  const writer = new LineWriter(0, (fd, bytes, done) => {
    calls += 1
    write(fd, bytes, done)
  })
  const lines = first + second + 2
  for (let at = 0; at < lines; at++) {
    writer.write(`<${'x'.repeat(65_536)}\n`)
    while (!writer.isIdle) await Bun.sleep(0)
  }
  await writer.close()
  expect([file.text.split('\n').filter((line) => line.startsWith('<x')).length, writer.dropped]).toEqual([taken, lines - taken])
  if (taken === 0) expect(calls).toBe(100)
})
