import type { ApiError } from '../errors.ts'
import type { SqliteParameters } from '../runtime/sqlite.ts'
import { codeOf, databaseUnavailable } from './errors.ts'
import type { StatementResult, Session } from './session.ts'

/** The connection that writes: a thread, or, for a database in memory, a synchronous one. */
export interface WriteChannel {
  execute(
    sql: string,
    parameters: SqliteParameters,
    options?: { inside?: boolean },
  ): Promise<StatementResult & { readonly inTransaction: boolean }>
}

/** Transactions that share a commit at most, and milliseconds after which a commit takes no further ones. */
const maxGroupSize = 100
const maxGroupDuration = 10

/** Milliseconds that another process may keep the database locked. */
const lockTimeout = 20_000

/** What one commit makes durable together. */
interface CommitGroup {
  readonly since: number
  /** Transactions that are complete and wait for the commit. */
  readonly members: PromiseWithResolvers<void>[]
  /** An error ended the transaction of the database: nothing of the group was kept. */
  lost?: unknown
}

/**
 * One transaction after the other on the one connection that writes. Those that wait when one is complete join its commit, each in a savepoint of
 * its own, so that many small writes cost one fsync; none completes before its commit.
 */
export class WriteQueue {
  readonly #channel: () => Promise<WriteChannel>
  readonly #waiting: PromiseWithResolvers<QueuedTransaction>[] = []
  #busy = false
  #closed: PromiseWithResolvers<void> | undefined
  #group: CommitGroup | undefined
  /** Commits so far: a database in memory has no other sign of changes. */
  commits = 0
  readonly idleTransactionTimeout: number

  /** @param idleTransactionTimeout milliseconds after which a transaction that asks for nothing is rolled back: every other one waits for it */
  constructor(channel: () => Promise<WriteChannel>, idleTransactionTimeout = 10_000) {
    this.#channel = channel
    this.idleTransactionTimeout = idleTransactionTimeout
  }

  /** Rejects waiting and later transactions. Resolves once the transaction under way has ended, or after `limit` milliseconds. */
  async close(limit: number): Promise<void> {
    const idle = (this.#closed ??= Promise.withResolvers<void>())
    for (const queued of this.#waiting.splice(0)) queued.reject(closedError())
    if (!this.#busy) return
    const timer = setTimeout(idle.resolve, limit)
    await idle.promise
    clearTimeout(timer)
  }

  async acquire(): Promise<Session> {
    if (this.#closed) throw closedError()
    if (this.#busy) {
      const queued = Promise.withResolvers<QueuedTransaction>()
      this.#waiting.push(queued)
      return await queued.promise
    }
    this.#busy = true
    return new QueuedTransaction(this)
  }

  /** @internal Begins a transaction, or joins the open one with a savepoint. */
  async open(): Promise<{ channel: WriteChannel; nested: boolean; group: CommitGroup }> {
    const channel = await this.#channel()
    const open = this.#group
    if (!open) {
      await retryWhileBusy(() => channel.execute('BEGIN IMMEDIATE', []))
      const group: CommitGroup = { since: performance.now(), members: [] }
      this.#group = group
      return { channel, nested: false, group }
    }
    try {
      await channel.execute('SAVEPOINT turn', [], { inside: true })
      return { channel, nested: true, group: open }
    } catch (error) {
      open.lost ??= error
      await this.#commit(channel, open)
      throw error
    }
  }

  /**
   * @internal One statement that commits by itself. Undefined, and nothing done, where others wait: then a transaction that shares their commit is
   * cheaper.
   */
  async executeAutocommit(sql: string, parameters: SqliteParameters): Promise<StatementResult | undefined> {
    if (this.#group || this.#waiting.length > 0) return undefined
    const channel = await this.#channel()
    const executed = await retryWhileBusy(() => channel.execute(sql, parameters))
    this.commits++
    return executed
  }

  /** @internal The turn is complete: commits, or passes the open transaction on to the next in the queue. Resolves after the commit. */
  async complete({ channel, group }: { channel: WriteChannel; group: CommitGroup }): Promise<void> {
    const member = Promise.withResolvers<void>()
    group.members.push(member)
    if (this.#mayGrow(group)) this.next()
    else void this.#commit(channel, group).then(() => this.next())
    await member.promise
  }

  /** @internal The turn was rolled back; what came before it in the group is kept. */
  async rolledBack({ channel, group }: { channel: WriteChannel; group: CommitGroup }): Promise<void> {
    if (group.members.length === 0) this.#group = undefined
    else if (!this.#mayGrow(group)) await this.#commit(channel, group)
    this.next()
  }

  #mayGrow(group: CommitGroup): boolean {
    const isFull = group.members.length >= maxGroupSize || performance.now() - group.since >= maxGroupDuration
    return this.#waiting.length > 0 && !isFull && group.lost === undefined
  }

  async #commit(channel: WriteChannel, group: CommitGroup): Promise<void> {
    this.#group = undefined
    try {
      if (group.lost !== undefined) throw group.lost
      await channel.execute('COMMIT', [], { inside: true })
      this.commits++
      for (const member of group.members) member.resolve()
    } catch (error) {
      await channel.execute('ROLLBACK', [], { inside: true }).catch(() => undefined)
      for (const member of group.members) member.reject(error)
    }
  }

  /** @internal The next in the queue may begin. */
  next(): void {
    const queued = this.#waiting.shift()
    if (queued) queued.resolve(new QueuedTransaction(this))
    else this.#busy = false
    if (!this.#busy) this.#closed?.resolve()
  }
}

function closedError(): ApiError {
  return databaseUnavailable(new Error('the database is closed'))
}

/** Another process may be writing: each try waits for the connection's busy timeout. Throws ApiError 503. */
async function retryWhileBusy<T>(run: () => Promise<T>): Promise<T> {
  const since = performance.now()
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (codeOf(error) !== 'SQLITE_BUSY' || performance.now() - since > lockTimeout) throw error
    }
  }
}

/** One transaction on the connection that writes. */
class QueuedTransaction implements Session {
  readonly #queue: WriteQueue
  #transaction: Awaited<ReturnType<WriteQueue['open']>> | undefined
  #state: 'fresh' | 'open' | 'over' = 'fresh'
  #watchdog: ReturnType<typeof setTimeout> | undefined
  #running = 0
  /** A statement failed: as on PostgreSQL, nothing of the transaction is kept. */
  #failure: unknown

  constructor(queue: WriteQueue) {
    this.#queue = queue
  }

  async begin(): Promise<void> {
    this.#transaction = await this.#queue.open()
    this.#state = 'open'
    this.#watch()
  }

  async execute(sql: string, parameters: SqliteParameters): Promise<StatementResult> {
    if (this.#state === 'fresh') return await this.#executeAutocommit(sql, parameters)
    const transaction = this.#transaction
    if (this.#state !== 'open' || !transaction) throw new Error('this transaction has ended')
    if (this.#failure !== undefined)
      throw new Error('a statement of this transaction failed: it can only be rolled back', { cause: this.#failure })
    clearTimeout(this.#watchdog)
    this.#running++
    try {
      return await transaction.channel.execute(sql, parameters, { inside: true })
    } catch (error) {
      this.#failure = error
      if (!(error instanceof Error && 'inTransaction' in error && error.inTransaction === true)) transaction.group.lost ??= error
      throw error
    } finally {
      this.#running--
      this.#watch()
    }
  }

  async executeEach(sql: string, rows: string): Promise<void> {
    await this.execute(sql, { each: rows })
  }

  /** A statement outside of any transaction. */
  async #executeAutocommit(sql: string, parameters: SqliteParameters): Promise<StatementResult> {
    const executed = await this.#queue.executeAutocommit(sql, parameters)
    if (executed) return executed
    await this.begin()
    try {
      const inside = await this.execute(sql, parameters)
      await this.commit()
      return inside
    } catch (error) {
      await this.rollback()
      throw error
    }
  }

  async commit(): Promise<void> {
    if (this.#failure !== undefined) throw new Error('the transaction was rolled back: a statement in it failed', { cause: this.#failure })
    const transaction = this.#end()
    if (!transaction) throw new Error('this transaction was rolled back: it was idle for too long')
    if (transaction.nested && transaction.group.lost === undefined) await this.#savepoint(transaction, 'RELEASE turn')
    await this.#queue.complete(transaction)
  }

  async rollback(): Promise<void> {
    const transaction = this.#end()
    if (!transaction) return
    const { group, nested, channel } = transaction
    if (group.lost === undefined) {
      if (nested) {
        await this.#savepoint(transaction, 'ROLLBACK TO turn')
        await this.#savepoint(transaction, 'RELEASE turn')
      } else {
        await channel.execute('ROLLBACK', [], { inside: true }).catch((error: unknown) => {
          group.lost ??= error
        })
      }
    }
    await this.#queue.rolledBack(transaction)
  }

  release(): void {
    // A turn that never began hands on what it has not used; every other one has done so by its commit or rollback.
    if (this.#state === 'fresh') this.#queue.next()
    this.#state = 'over'
  }

  async #savepoint({ channel, group }: { channel: WriteChannel; group: CommitGroup }, sql: string): Promise<void> {
    try {
      await channel.execute(sql, [], { inside: true })
    } catch (error) {
      group.lost ??= error
    }
  }

  #end() {
    clearTimeout(this.#watchdog)
    const transaction = this.#state === 'open' ? this.#transaction : undefined
    if (this.#state === 'open') this.#state = 'over'
    return transaction
  }

  #watch(): void {
    clearTimeout(this.#watchdog)
    if (this.#running > 0 || this.#state !== 'open') return
    this.#watchdog = setTimeout(() => void this.rollback(), this.#queue.idleTransactionTimeout)
    this.#watchdog.unref()
  }
}
