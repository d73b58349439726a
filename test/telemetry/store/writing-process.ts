// Writes batches to a store until it is killed, or as many as given; prints the number of each once it is written.
import { openTraceStoreWriter } from '../../../src/telemetry/store/writer.ts'
import { requestSpans } from './records.ts'

const [path = '', from = '0', batches = '1000000'] = process.argv.slice(2)
const writer = await openTraceStoreWriter(path, { maxAge: 1e15, maxBytes: 1e9 })
for (let batch = 0; batch < Number(batches); batch += 1) {
  const first = Number(from) + batch * 10
  await writer.write(Array.from({ length: 10 }, (_, index) => requestSpans(first + index)).flat())
  process.stdout.write(`${batch}\n`)
}
await writer.close()
