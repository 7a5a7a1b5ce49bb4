// Each record exactly once in a database, whatever is killed when: the offset is stored beside the data, in the same transaction,
// and reading begins with what the database says. Kafka's committed offsets are not used; the group only shares the partitions
// out.
//
//   transactional_sink BOOTSTRAP TOPIC GROUP DATABASE
//
// DATABASE: a file of SQLite's, made if it is not there; records(topic, partition, offset, value) is what is read, next(topic,
// partition, offset) where to go on, -1 from the beginning. Ends by SIGINT and SIGTERM.
//
// Where the log has no such offset (its records were deleted before they were read, or the end of the log was lost), reading on
// somewhere else would store records twice or leave some out, so the program ends with an error instead. Whoever has looked into
// it updates `next`, and deletes from `records` what is to be read again. A topic that was deleted and made anew under its name is
// not told from the old one once it is as long.

#include <kawait/kawait.hpp>

#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>

#include <sqlite3.h>

#include <iostream>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

class database {
 public:
  explicit database(const char* path) {
    check(sqlite3_open(path, &db_));
    sqlite3_busy_timeout(db_, 10'000);  // for another process's transaction
    execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE IF NOT EXISTS records(topic TEXT, partition INT, offset INT, value BLOB,"
            "                                   PRIMARY KEY(topic, partition, offset));"
            "CREATE TABLE IF NOT EXISTS next(topic TEXT, partition INT, offset INT, PRIMARY KEY(topic, partition));");
  }
  database(const database&) = delete;
  database& operator=(const database&) = delete;
  ~database() { sqlite3_close_v2(db_); }

  void execute(const char* sql) { check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); }
  void check(int code) const {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) throw std::runtime_error(sqlite3_errmsg(db_));
  }
  sqlite3* get() const noexcept { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

// Parameters 1 and 2 of each are the topic and the partition.
class statement {
 public:
  statement(database& db, const kawait::topic_partition& p, const char* sql) : db_(&db) {
    db.check(sqlite3_prepare_v2(db.get(), sql, -1, &statement_, nullptr));
    db.check(sqlite3_bind_text(statement_, 1, p.topic.c_str(), -1, SQLITE_TRANSIENT));
    bind(2, p.partition);
  }
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;
  ~statement() { sqlite3_finalize(statement_); }

  void bind(int index, std::int64_t value) { db_->check(sqlite3_bind_int64(statement_, index, value)); }
  void bind(int index, std::optional<std::string_view> value) {
    db_->check(value ? sqlite3_bind_blob64(statement_, index, value->empty() ? "" : value->data(), value->size(), SQLITE_STATIC)
                     : sqlite3_bind_null(statement_, index));
  }
  std::int64_t run() {  // the row's first column, if it is one that gives a row
    const int code = sqlite3_step(statement_);
    db_->check(code);
    const std::int64_t column = code == SQLITE_ROW ? sqlite3_column_int64(statement_, 0) : 0;
    sqlite3_reset(statement_);
    return column;
  }

 private:
  database* db_;
  sqlite3_stmt* statement_ = nullptr;
};

class transaction {
 public:
  explicit transaction(database& db) : db_(&db) { db.execute("BEGIN IMMEDIATE"); }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;
  ~transaction() {
    if (db_) sqlite3_exec(db_->get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  void commit() { std::exchange(db_, nullptr)->execute("COMMIT"); }

 private:
  database* db_;
};

// Data and offset together. False, and nothing is stored: another process has stored since `from` was read, one that the group
// gave the partition to while this one stood still (a machine that slept). What a broker would have to fence, the transaction
// does.
bool store(database& db, const kawait::partition& p, const kawait::batch& batch, std::int64_t from) {
  transaction all_or_nothing(db);
  statement go_on(db, p.name(), "UPDATE next SET offset = ?4 WHERE topic = ?1 AND partition = ?2 AND offset = ?3");
  go_on.bind(3, from);
  go_on.bind(4, batch.next_offset());
  go_on.run();
  if (sqlite3_changes(db.get()) == 0) return false;
  statement insert(db, p.name(), "INSERT INTO records VALUES(?1, ?2, ?3, ?4)");
  for (const kawait::record& r : batch) {
    insert.bind(3, r.offset());
    insert.bind(4, r.value());
    insert.run();
  }
  all_or_nothing.commit();
  return true;
}

// For each partition, as long as it is ours. SQLite blocks, for a commit to the disk: a service would put it on a thread of its
// own.
struct sink {
  explicit sink(database* d) : db(d) {}
  database* db;

  asio::awaitable<void> operator()(kawait::partition p) const {
    statement(*db, p.name(), "INSERT OR IGNORE INTO next VALUES(?1, ?2, -1)").run();
    while (p.is_running()) {
      std::int64_t stored = statement(*db, p.name(), "SELECT offset FROM next WHERE topic = ?1 AND partition = ?2").run();
      if (stored < 0) {
        p.seek_to_beginning();
      } else {
        p.seek(stored);
      }
      while (auto batch = co_await p.async_next()) {
        if (!store(*db, p, *batch, stored)) break;
        stored = batch->next_offset();
      }
    }
  }
};

asio::awaitable<void> run(kawait::consumer& consumer, sink handler, asio::signal_set& signals) {
  co_await kawait::for_each_partition(consumer, handler);
  signals.cancel();
}

asio::awaitable<void> close_on_signal(kawait::consumer& consumer, asio::signal_set& signals) {
  std::error_code ended;
  co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  if (!ended) co_await consumer.async_close();
}

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: transactional_sink BOOTSTRAP TOPIC GROUP DATABASE\n";
    return 2;
  }
  try {
    database db(argv[4]);
    asio::io_context context(1);
    kawait::config config(argv[1]);
    config.group_id(argv[3]).auto_commit(false);
    config.auto_offset_reset(kawait::offset_reset::none);  // never from elsewhere than the database says
    kawait::consumer consumer(context.get_executor(), config);
    consumer.subscribe(argv[2]);

    asio::signal_set signals(context, SIGINT, SIGTERM);
    int status = 0;
    const auto report = [&](std::exception_ptr thrown) {
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        status = 1;
        signals.cancel();
      }
    };
    asio::co_spawn(context, run(consumer, sink(&db), signals), report);
    asio::co_spawn(context, close_on_signal(consumer, signals), report);
    context.run();
    return status;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
