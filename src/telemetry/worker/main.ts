// The thread of ../traces/span-queue.ts: writes traces on this machine and sends them to a collector, off the thread that serves.
import { threadPort } from '../../runtime/thread-port.ts'
import { createContentAttributes } from './content-attributes.ts'
import type { FromWorker, ToWorker, TraceStoreWriter, WorkerSettings } from './messages.ts'
import type { SpanRecord } from '../traces/span.ts'
import { SpanExporter } from './span-exporter.ts'
import { StoreFeed } from './store-feed.ts'

const side = threadPort<ToWorker, FromWorker>()
const settings = side.data as WorkerSettings
const post = (message: FromWorker): void => side.post(message)

const withContent = createContentAttributes(settings.redact, settings.contentLength)

async function createExporter(): Promise<SpanExporter | undefined> {
  const { traces: target, resource, schemaUrl, version, queueSize, batchSize, delay } = settings
  if (!target) return undefined
  const { createSpanEncoder } = await import('./otlp-spans.ts')
  const { sendOtlp } = await import('./otlp-sender.ts')
  const encode = createSpanEncoder({ resource, schemaUrl, version })
  return new SpanExporter({ encode, send: (message) => sendOtlp(target, message), post, queueSize, batchSize, delay })
}

async function openStore(): Promise<TraceStoreWriter> {
  const { openTraceStoreWriter } = await import('../store/writer.ts')
  const { path, limits } = settings.store!
  return openTraceStoreWriter(path, limits)
}

async function serve(): Promise<void> {
  const exporter = await createExporter()
  const store = settings.store && new StoreFeed(openStore, post)
  let last = Promise.resolve()
  // In order: a flush or close covers everything before it.
  side.listen((message) => {
    last = last.then(() => handle(message, exporter, store))
  })
}

async function handle(message: ToWorker, exporter: SpanExporter | undefined, store: StoreFeed | undefined): Promise<void> {
  if (message.kind === 'spans') {
    const spans = (JSON.parse(message.json) as SpanRecord[]).map(withContent)
    exporter?.add(spans.filter((span) => span.sampled))
    await store?.write(spans)
    post({ kind: 'done', spans: spans.length })
    return
  }
  if (message.kind === 'flush') {
    await exporter?.flush()
    post({ kind: 'flushed', id: message.id })
    return
  }
  // An unavailable collector may use up the time.
  await store?.close()
  await exporter?.close()
  post({ kind: 'closed' })
}

await serve()
