import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openTraceStore, type TraceStore } from '../../../src/telemetry/store/reader.ts'
import { temporary } from './records.ts'

/** A file that is not there yet, in a folder that is gone at the end. */
interface Fresh extends AsyncDisposable {
  readonly path: string
}

export async function freshPath(): Promise<Fresh> {
  const path = join(await temporary(), 'traces.db')
  return { path, [Symbol.asyncDispose]: () => rm(dirname(path), { recursive: true }) }
}

/** Opens the store, looks, and closes it. */
export async function read<T>(path: string, look: (store: TraceStore) => T): Promise<T> {
  using store = await openTraceStore(path)
  if (!store) throw new Error('there is no store')
  return look(store)
}
