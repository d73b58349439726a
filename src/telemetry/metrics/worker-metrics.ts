import { unavailable } from '../../errors.ts'
import type { Metrics } from './create-metrics.ts'
import { cumulativeIn, merge } from './merge.ts'
import type { MetricDefinition, MetricsSnapshot } from './instruments.ts'

/** One end of the pipe between a supervisor and one of its workers. */
export interface WorkerChannel {
  /** Does nothing once the other end is closed. */
  send(message: object): void
  listen(listener: (message: unknown) => void): void
}

/** `count` and `metrics` go to a worker, the others to the supervisor. */
type WorkerMetricsMessage =
  | { readonly corral: 'metrics?'; readonly id: number }
  | { readonly corral: 'count'; readonly id: number }
  | { readonly corral: 'counted'; readonly id: number; readonly snapshot: MetricsSnapshot }
  | { readonly corral: 'metrics'; readonly id: number; readonly snapshot: MetricsSnapshot }

interface Worker {
  readonly channel: WorkerChannel
  /** Its last snapshot. */
  last: MetricsSnapshot
  /** Requests that wait for its snapshot. */
  readonly waiting: Set<(snapshot: MetricsSnapshot) => void>
  /** `performance.now()` of the request without a reply: a stalled worker is not asked again at once. */
  requestedAt: number | undefined
}

interface WorkerPoolOptions {
  /** Milliseconds for a worker to send its snapshot. Default 1000. */
  readonly timeout?: number
  /** Milliseconds for which readers share one sum. Default 250. */
  readonly cacheTime?: number
}

/** What all workers have counted, those included that are gone. For the supervisor. */
export class WorkerPoolMetrics {
  readonly #definitions: readonly MetricDefinition[]
  readonly #timeout: number
  readonly #cacheTime: number
  readonly #workers = new Set<Worker>()
  #exited: MetricsSnapshot = {}
  #id = 0
  #cached: { readonly at: number; readonly sum: Promise<MetricsSnapshot> } | undefined

  constructor(definitions: readonly MetricDefinition[], { timeout = 1_000, cacheTime = 250 }: WorkerPoolOptions = {}) {
    this.#definitions = definitions
    this.#timeout = timeout
    this.#cacheTime = cacheTime
  }

  /** Returns what to call when the worker has exited: its last counts are kept. */
  add(channel: WorkerChannel): () => void {
    const worker: Worker = { channel, last: {}, waiting: new Set(), requestedAt: undefined }
    this.#workers.add(worker)
    channel.listen((message) => {
      if (!isWorkerMetricsMessage(message)) return
      if (message.corral === 'counted') {
        worker.last = message.snapshot
        settleWaiting(worker, message.snapshot)
      } else if (message.corral === 'metrics?')
        void this.sum().then((snapshot) => channel.send({ corral: 'metrics', id: message.id, snapshot }))
    })
    return () => {
      if (!this.#workers.delete(worker)) return
      const counted = cumulativeIn(worker.last, this.#definitions)
      this.#exited = merge([this.#exited, counted], this.#definitions)
      settleWaiting(worker, {})
    }
  }

  /** Never rejects. A worker without a reply in time counts with its last snapshot. */
  sum(): Promise<MetricsSnapshot> {
    const now = performance.now()
    if (this.#cached && now - this.#cached.at < this.#cacheTime) return this.#cached.sum
    const sum = this.#collect()
    this.#cached = { at: now, sum }
    return sum
  }

  async #collect(): Promise<MetricsSnapshot> {
    const workers = [...this.#workers]
    const snapshots = await Promise.all(workers.map((worker) => this.#count(worker)))
    // The counts of a worker that exited meanwhile are among those of the exited.
    const living = snapshots.filter((_, at) => this.#workers.has(workers[at] as Worker))
    return merge([this.#exited, ...living], this.#definitions)
  }

  #count(worker: Worker): Promise<MetricsSnapshot> {
    const { promise, resolve } = Promise.withResolvers<MetricsSnapshot>()
    const take = (snapshot: MetricsSnapshot): void => {
      clearTimeout(timer)
      worker.waiting.delete(take)
      resolve(snapshot)
    }
    const timer = setTimeout(() => take(cumulativeIn(worker.last, this.#definitions)), this.#timeout)
    worker.waiting.add(take)
    const now = performance.now()
    if (worker.requestedAt === undefined || now - worker.requestedAt > repeatAfter) {
      worker.requestedAt = now
      this.#id += 1
      worker.channel.send({ corral: 'count', id: this.#id })
    }
    return promise
  }
}

/** Milliseconds. */
const repeatAfter = 2_000

function settleWaiting(worker: Worker, snapshot: MetricsSnapshot): void {
  worker.requestedAt = undefined
  for (const take of worker.waiting) take(snapshot)
}

/** Milliseconds that a worker waits for its supervisor. */
const supervisorTimeout = 3_000

/** For a worker: its `/metrics` reports all workers from now on. */
export function joinWorkerPool(metrics: Metrics, channel: WorkerChannel): void {
  const waiting = new Map<number, (snapshot: MetricsSnapshot) => void>()
  let id = 0
  channel.listen((message) => {
    if (!isWorkerMetricsMessage(message)) return
    if (message.corral === 'count') channel.send({ corral: 'counted', id: message.id, snapshot: metrics.collect() })
    else if (message.corral === 'metrics') waiting.get(message.id)?.(message.snapshot)
  })
  metrics.setGather(async () => {
    const { promise, resolve, reject } = Promise.withResolvers<MetricsSnapshot>()
    const own = (id += 1)
    // Its own counts alone would look as if the others had restarted.
    const timer = setTimeout(() => reject(unavailable('The supervisor does not tell what all workers have counted.', 5)), supervisorTimeout)
    waiting.set(own, resolve)
    channel.send({ corral: 'metrics?', id: own })
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      waiting.delete(own)
    }
  })
}

function isWorkerMetricsMessage(message: unknown): message is WorkerMetricsMessage {
  if (typeof message !== 'object' || message === null || !('corral' in message) || !('id' in message)) return false
  return typeof message.corral === 'string' && typeof message.id === 'number'
}
