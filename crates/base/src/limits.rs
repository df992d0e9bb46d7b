//! Every bound of the program, with its reason beside it. A queue, retry, body, cache or loop without a constant here
//! (or a configuration key whose default is here) is a bug.

use std::time::Duration;

/// Longest key of a row, in bytes, with its table's number. It fits a page of every engine we run on, and PostgreSQL's
/// B-tree (2.7 KB) by far. Room and user ids are at most 255 bytes, so keys hold interned numbers or hashes of them.
pub const KEY_BYTES: usize = 256;

/// Largest value, in bytes: an event of 65,535 bytes and what is kept with it
/// (<https://spec.matrix.org/v1.19/client-server-api/#size-limits>), and small enough that sled keeps it in its log.
pub const VALUE_BYTES: usize = 96 * 1024;

/// Largest batch, in bytes of keys and values: a group must fit into memory several times over on a 1 GB machine.
pub const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What a group commit aims at, in bytes: past it, a group takes no further batch. sled holds a process-wide lock while
/// it applies a group, so every reader waits for as long as a group lasts.
pub const GROUP_BYTES: usize = 1024 * 1024;

/// Most batches in one group commit: 256 producers made groups of 150, so this is never the limit but in a burst of
/// tiny batches, where it bounds how long the first of them waits.
pub const GROUP_BATCHES: usize = 1024;

/// Most batches waiting for the group-commit writer. Past it, `commit` itself waits: the writer is the bottleneck and
/// a longer queue only adds delay. At 1.7 KB a batch these are 7 MB.
pub const WAITING_BATCHES: usize = 4096;

/// Most bytes of batches waiting for the group-commit writer, so that few large batches are bounded as well.
pub const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Most rows that one page of a scan returns, whatever was asked: 10,000 rows of 1 KB are 10 MB.
pub const SCAN_ROWS: usize = 10_000;

/// Most bytes that one page of a scan returns (the row that crosses the line is still returned).
pub const SCAN_BYTES: usize = 8 * 1024 * 1024;

/// Most entries that a reader is handed at once.
pub const READER_BATCH_ENTRIES: usize = 1_000;

/// Failures of one log entry before a reader sets it aside.
pub const READER_ATTEMPTS: u32 = 3;

/// Crashes of the process with one log entry in flight before a reader sets it aside. At the second, because the start
/// after it is the third, and by then the service must be back.
pub const READER_CRASHES: u32 = 2;

/// The wait after a reader's first failure; short, because most failures are a blip.
pub const READER_RETRY_FIRST: Duration = Duration::from_millis(100);

/// The longest wait of a reader whose handler keeps failing: long enough to spare the other side, short enough that
/// nobody has to restart the server after the repair.
pub const READER_RETRY_MOST: Duration = Duration::from_secs(60);

/// How long a lease lasts without renewal. The work of a dead node is taken over after this.
pub const LEASE_TTL: Duration = Duration::from_secs(15);

/// Free disk below which writes are refused: a journal and a compaction must still find room, or the engine poisons
/// itself and the server has to be restarted.
pub const DISK_RESERVE_BYTES: u64 = 128 * 1024 * 1024;

/// Connections to PostgreSQL that serve reads, per node: each is a process of the server, and eight of them saturate the
/// cores of a small one. The writer and the listener have one more each.
pub const POSTGRES_READERS: usize = 8;

/// How long connecting to PostgreSQL may take; also how long batches wait at most for a server that has been given up
/// and is being tried again.
pub const POSTGRES_CONNECT: Duration = Duration::from_secs(5);

/// How long PostgreSQL may take to answer one statement before its connection counts as lost: a page of a scan or a
/// group commit takes milliseconds, a row lock another node holds at most [`POSTGRES_IDLE_IN_TRANSACTION`].
pub const POSTGRES_ANSWER: Duration = Duration::from_secs(30);

/// How long a group commit goes on trying while PostgreSQL is away: a restart or a fail-over takes a few seconds to half
/// a minute. After it, batches are refused at once until the database is back.
pub const POSTGRES_PATIENCE: Duration = Duration::from_secs(30);

/// How long a transaction may stand still before the server ends it: a node that hangs must not hold its row locks for
/// longer than [`POSTGRES_ANSWER`] of the others.
pub const POSTGRES_IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

/// The wait after the first failed attempt to reach PostgreSQL.
pub const POSTGRES_RETRY_FIRST: Duration = Duration::from_millis(50);

/// The longest wait between attempts to reach PostgreSQL.
pub const POSTGRES_RETRY_MOST: Duration = Duration::from_secs(2);

/// Attempts of one group commit that collide with another node's (deadlock, serialisation) before its batches are
/// answered as conflicts.
pub const POSTGRES_COLLISIONS: u32 = 10;

/// Attempts of a read that finds its pooled connection dead: after a restart of the server all of them are.
pub const POSTGRES_READ_ATTEMPTS: u32 = 3;

/// Largest blob, in bytes: what the largest upload that an operator may allow needs, and no more than a `u32` holds.
pub const BLOB_BYTES: u64 = 4 * 1024 * 1024 * 1024 - 1;

/// How long a blob without references is kept: an upload commits its reference within a request's lifetime.
pub const BLOB_GRACE: Duration = Duration::from_secs(60 * 60);

/// Largest configuration file or file with a secret, in bytes: a thousand times what people write, and no device file.
pub const CONFIG_BYTES: u64 = 1024 * 1024;

/// Most connections from clients and servers at once, where the process has descriptors enough. It bounds the memory
/// that tasks and buffers of idle connections take.
pub const CONNECTIONS: usize = 20_000;

/// Descriptors that the process asks for at its start, within what the operating system allows it: [`CONNECTIONS`] in,
/// as many out, and what storage opens.
pub const DESCRIPTORS: u64 = 65_536;

/// Descriptors kept from connections: for storage (the engine's open files), outgoing connections and the log.
pub const RESERVED_DESCRIPTORS: u64 = 512;

/// Fewest connections, however few descriptors there are.
pub const CONNECTIONS_LEAST: usize = 64;

/// How long a TLS handshake may take: three round trips of a phone on a poor line, and no slot for who only connects.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the head of a request may take to arrive, counted from when the connection is free for it; so it is how
/// long an idle connection is kept, too. Longer than the pause between two requests of an app in use.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Largest head of a request, in bytes: an access token, a long query and what proxies add fit several times.
pub const HTTP_HEAD_BYTES: usize = 64 * 1024;

/// Most header fields in a request; proxies add a dozen.
pub const HTTP_HEADERS: usize = 100;

/// Most requests at once on one HTTP/2 connection: an app at its start asks for a few dozen avatars.
pub const HTTP2_STREAMS: u32 = 128;

/// How often a quiet HTTP/2 connection is probed, and how long the answer may take: a phone that left the network
/// holds its connection no longer than both together.
pub const HTTP2_PROBE_EVERY: Duration = Duration::from_secs(45);

/// See [`HTTP2_PROBE_EVERY`].
pub const HTTP2_PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// Largest body of a request that does not say otherwise, in bytes: a federation transaction of 50 events and 100 EDUs
/// (<https://spec.matrix.org/v1.19/server-server-api/#transactions>) of 65,535 bytes each is just below it.
pub const REQUEST_BYTES: usize = 10 * 1024 * 1024;

/// How long the body of a request may take to arrive once its head is there: [`REQUEST_BYTES`] over a line of 1.5 Mbit/s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long media that was created may go without its content: the specification's least
/// (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create>).
pub const MEDIA_PENDING_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Most media that a user may have created without a content: an album sent from a poor line.
pub const MEDIA_PENDING_PER_USER: usize = 100;

/// How long a download waits for its content to be uploaded when its client does not say
/// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>).
pub const MEDIA_WAIT: Duration = Duration::from_secs(20);

/// The longest that a download waits, whatever its client says: proxies give up after a minute.
pub const MEDIA_WAIT_MOST: Duration = Duration::from_secs(55);

/// How often a waiting download looks for what another node may have taken.
pub const MEDIA_POLL: Duration = Duration::from_secs(1);

/// Largest piece of a download, in bytes: few enough to hold for thousands of slow clients, large enough that reading it
/// outweighs asking for it.
pub const MEDIA_PIECE_BYTES: usize = 128 * 1024;

/// How long an upload may stand still: a phone that changes its network takes some seconds.
pub const MEDIA_STALL: Duration = Duration::from_secs(60);

/// Longest type or file name that is kept with an upload, in bytes: what file systems take.
pub const MEDIA_TEXT_BYTES: usize = 255;

/// Most created media looked at in one page of a collection.
pub const MEDIA_COLLECTED_AT_ONCE: usize = 1_000;

/// Largest image that a thumbnail is made of, in bytes: a camera's largest.
pub const THUMBNAIL_SOURCE_BYTES: u64 = 32 * 1024 * 1024;

/// Most pixels of such an image: 64 million are 256 MB decoded.
pub const THUMBNAIL_PIXELS: u64 = 64_000_000;

/// Longest side of such an image.
pub const THUMBNAIL_SIDE: u32 = 30_000;

/// Memory that the decoder of one image may use, in bytes.
pub const THUMBNAIL_MEMORY_BYTES: u64 = 320 * 1024 * 1024;

/// Thumbnails made at once: each takes a core, and the others are for messages.
pub const THUMBNAILS_AT_ONCE: usize = 2;

/// Most thumbnails being made or waiting for it; at a tenth of a second each, the last waits some seconds.
pub const THUMBNAILS_WAITING: usize = 64;

/// How often the server does what has to be done now and then: when a device was last here may be off by this after a
/// crash.
pub const CHORES_EVERY: Duration = Duration::from_secs(60);

/// Rounds of those chores from one collection of unused files to the next; they are kept for an hour anyway.
pub const CHORES_BETWEEN_COLLECTIONS: u32 = 30;

/// Most users and addresses whose requests are counted at once: at 24 bytes each, with room to grow, they are 5 MB.
pub const LIMITED_KEYS: usize = 100_000;

/// The pause after a connection could not be accepted (no descriptors left): a try at once would fail as well.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long requests in flight may take after the server was asked to stop. Container runtimes kill after 10 s, and
/// storage must be closed before.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(6);

/// How long connections that were cut may take to let go of what they use: they have nothing to wait for.
pub const CUT_TIMEOUT: Duration = Duration::from_millis(500);

/// Largest event, in bytes of canonical JSON with its signatures
/// (<https://spec.matrix.org/v1.19/client-server-api/#size-limits>).
pub const EVENT_BYTES: usize = 65_535;

/// Largest event as another server may write it, in bytes: canonical JSON may be spelt six times as long (an escape for
/// each byte), and what lies under `unsigned` does not count.
pub const EVENT_WIRE_BYTES: usize = 8 * EVENT_BYTES;

/// Greatest depth of an event: the greatest integer of canonical JSON
/// (<https://spec.matrix.org/v1.19/appendices/#canonical-json>). An event after one of this depth has the same depth.
pub const EVENT_DEPTH: u64 = (1 << 53) - 1;

/// Most events that an event may name as those before it (<https://spec.matrix.org/v1.19/rooms/v12/#event-format>).
pub const EVENT_PREV_EVENTS: usize = 20;

/// Most nodes of a room's state that are loaded at once: at 270 bytes each they are 280 KB.
pub const STATE_NODES_AT_ONCE: usize = 1024;

/// Most state entries in one answer; a longer list is read in pages.
pub const STATE_ENTRIES_AT_ONCE: usize = 10_000;

/// Most nodes removed in one batch, at 25 bytes of key each: the room is free for others' appends in between.
pub const STATE_NODES_REMOVED: usize = 1_000;

/// Most rooms looked at for one event id. Only in room versions 1 and 2, where servers choose ids, can there be two.
pub const EVENT_ROOMS: usize = 16;

/// Most memberships worked on at once, at 300 bytes of rows each. A change of more than this many came with a join.
pub const MEMBERS_AT_ONCE: usize = 1_000;

/// Most ids about which the store is asked at once while events from elsewhere are taken in.
pub const INGEST_IDS_AT_ONCE: usize = 10_000;

/// Most events from elsewhere appended between two looks at what else is to be done.
pub const INGEST_READY_AT_ONCE: usize = 1_000;

/// Most events in memory for one piece of work (a transaction with what it lacks, a room's state): at 3 KB each 300 MB,
/// which only the largest public rooms come near.
pub const INGEST_EVENTS: usize = 100_000;

/// Most events that another server is asked for by id at once.
pub const INGEST_ASKED_AT_ONCE: usize = 500;

/// How often the events before some are asked for, each time further back. After that the state is asked for: a server that
/// was away for long has others fill the gap when somebody reads that far.
pub const INGEST_MISSING_ROUNDS: u32 = 4;

/// Most events asked for in one such round.
pub const INGEST_MISSING_EVENTS: usize = 50;

/// Most outliers in one batch; their rows are 2 KB each.
pub const INGEST_OUTLIERS_AT_ONCE: usize = 200;

/// Most bytes of events in one batch of outliers: what a group commit aims at, with half of it for other rows.
pub const INGEST_OUTLIER_BYTES: usize = GROUP_BYTES / 2;

/// Most steps in one piece of work on what another server sent. Each step brings something or ends a wait, so this is only
/// reached by a mistake of ours.
pub const INGEST_STEPS: usize = 10_000;

/// Events from elsewhere that are worked on at once, each on a thread: judging is the processor's work, and small machines
/// have few.
pub const INGEST_AT_ONCE: usize = 8;

/// How long the work on one event may take. Resolving the states of large rooms takes seconds on a slow disk.
pub const INGEST_EVENT_TIME: Duration = Duration::from_secs(20);

/// Most threads left to work that does not end, at 2 MiB of stack each.
pub const INGEST_GIVEN_UP: usize = 32;

/// Crashes of the process with one event in flight before it is set aside. At the second, because the start after it is the
/// third, and by then the service must be back.
pub const INGEST_CRASHES: u32 = 2;

/// Most bytes kept of the reason why an event was set aside.
pub const INGEST_REASON_BYTES: usize = 256;

/// How much of a room's state, in percent, must be had to make a partial state whole: old rooms have a few events that
/// nobody can verify any more.
pub const STATE_WHOLE_PERCENT: usize = 99;

/// Most servers remembered of those said to be in a room while its members are not known: one row.
pub const PARTIAL_SERVERS: usize = 1_000;

/// How often an append to a room is tried when others append to it at the same time. Of those who try at once one gets
/// through, so this many writers are served even if none ever waits.
pub const APPEND_ATTEMPTS: u32 = 12;

/// The wait after an append that others were faster than; about what a commit takes.
pub const APPEND_RETRY_FIRST: Duration = Duration::from_millis(2);

/// The longest such wait.
pub const APPEND_RETRY_MOST: Duration = Duration::from_millis(100);

/// Longest id of a user, in bytes (<https://spec.matrix.org/v1.19/appendices/#user-identifiers>).
pub const ID_BYTES: usize = 255;

/// Longest id of a device, in bytes. Clients choose 10 to 45; keys hold one beside the hash of its user and more.
pub const DEVICE_ID_BYTES: usize = 100;

/// Longest name of a device, in bytes: a line on a screen.
pub const DEVICE_NAME_BYTES: usize = 512;

/// Most devices of a user. People have a dozen, and scripts that log in and never out some hundreds; every login counts
/// them, and every change to an account may read them.
pub const DEVICES_PER_USER: usize = 2_000;

/// Most devices logged out in one batch: each has a few rows of its own and many one-time keys.
pub const DEVICES_LOGGED_OUT_AT_ONCE: usize = 50;

/// How often a change to an account is tried when others change it at the same time.
pub const ACCOUNT_ATTEMPTS: u32 = 12;

/// The wait after such an attempt; about what a commit takes.
pub const ACCOUNT_RETRY_FIRST: Duration = Duration::from_millis(2);

/// The longest such wait.
pub const ACCOUNT_RETRY_MOST: Duration = Duration::from_millis(100);

/// Longest password, in bytes; a passphrase fits many times.
pub const PASSWORD_BYTES: usize = 512;

/// Passwords hashed at once. Each takes a core for some ten milliseconds and 19 MiB: messages must still get through.
pub const PASSWORDS_AT_ONCE: usize = 2;

/// Passwords hashed or waiting for it. At 30 ms each and two at once, the last of them waits for two seconds.
pub const PASSWORDS_WAITING: usize = 128;

/// Sessions in memory, in bytes: about 90,000 devices that were here within [`SESSION_CACHE_AGE`].
pub const SESSION_CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// How long a session is believed before it is read again: what another node has ended is good for no longer on this one.
pub const SESSION_CACHE_AGE: Duration = Duration::from_secs(60);

/// How long an access token lasts that its client can renew.
pub const REFRESHABLE_TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How exactly it is known when a device was here: people look at it to find one that they do not know.
pub const SEEN_EVERY: Duration = Duration::from_secs(60);

/// Most devices whose visit is noted and not written: a minute's worth, at some 200 bytes each.
pub const SEEN_WAITING: usize = 50_000;

/// Most of these written in one batch.
pub const SEEN_WRITTEN_AT_ONCE: usize = 500;

/// Longest address or name of a client that is noted, in characters.
pub const SEEN_TEXT_CHARACTERS: usize = 200;

/// Longest content of one piece of account data, in bytes: the push rules of somebody in 3,000 rooms with a rule each.
pub const ACCOUNT_DATA_BYTES: usize = 1024 * 1024;

/// Largest part of such a content that is one value, in bytes; with its names it must fit.
pub const ACCOUNT_DATA_PART_BYTES: usize = 64 * 1024;

/// Longest type of account data, in bytes, as event types (<https://spec.matrix.org/v1.19/client-server-api/#size-limits>).
pub const ACCOUNT_DATA_TYPE_BYTES: usize = 255;

/// Most pieces of account data of a user: two for each of 5,000 rooms.
pub const ACCOUNT_DATA_PER_USER: usize = 10_000;

/// Longest name of a tag, in bytes (<https://spec.matrix.org/v1.19/client-server-api/#room-tagging>).
pub const TAG_BYTES: usize = 255;

/// Most tags that a user gives to one room.
pub const TAGS_PER_ROOM: usize = 100;

/// Lists of ignored users in memory, in bytes: most are empty and take 150.
pub const IGNORED_CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Most events that a room is made with beyond those that every room has: what its maker gives and whom they invite. All of
/// them are one batch.
pub const ROOM_INITIAL_EVENTS: usize = 256;

/// Most rooms of a restricted room's rule that are looked at for one join: what rules hold in practice is one to five.
pub const RESTRICTED_ROOMS: usize = 64;

/// Most aliases of one room that are read at once; people give one or two.
pub const ROOM_ALIASES: usize = 1_000;

/// Most marks of one user in one room, each of a thread: a row of 150 bytes for each stays far below what a value may have,
/// and nobody follows more threads of one room.
pub const RECEIPT_THREADS: usize = 256;

/// Most receipts of a room in one answer: in larger rooms those that moved last, which are those whose events are shown.
pub const RECEIPTS_AT_ONCE: usize = 5_000;

/// Changes of who types that a follower may be behind; one that is further behind looks everywhere.
pub const TYPING_CHANGES: usize = 1024;

/// How long somebody is shown as typing at most, whatever their client asks for: it says so again while they do.
pub const TYPING_LONGEST: Duration = Duration::from_secs(120);

/// Most people shown as typing in a room; no client shows more than a handful.
pub const TYPING_IN_ROOM: usize = 100;

/// Rooms of which is known who types, or that nobody does any more; a few hundred bytes each.
pub const TYPING_ROOMS: usize = 10_000;

/// Bytes of events as push rules see them, that are remembered: the last messages of the rooms in use.
pub const SEEN_EVENTS_BYTES: u64 = 32 * 1024 * 1024;

/// Rooms of which it is remembered what push rules ask of them.
pub const SEEN_ROOMS: u64 = 10_000;

/// Bytes of unread counts that are remembered: at 500 bytes for a user in a room, those of 1,000 users in 60 rooms each.
pub const UNREAD_BYTES: u64 = 32 * 1024 * 1024;

/// Events looked at for the unread count of somebody who has never read a room, and the most that are counted: clients show
/// no number beyond a hundred or a thousand, and a room that nobody reads must not cost more with every event.
pub const UNREAD_EVENTS: usize = 1_000;

/// Events looked at at once while counting.
pub const UNREAD_PAGE: usize = 100;

/// Events of a room looked at for the list of what somebody was notified of.
pub const NOTIFIED_EVENTS: usize = 1_000;

/// Events of that list in a page that does not say how many.
pub const NOTIFIED_PAGE: usize = 50;

/// Most events of that list in a page.
pub const NOTIFIED_PAGE_MOST: usize = 100;

/// Most redactions looked at that came before the event they name: only one of them can be the first that may.
pub const REDACTIONS_WAITING: usize = 32;

/// Longest text of a room's card, in bytes: a name or topic as lists show it. Events may have 64 KiB of it, which lists of a
/// thousand rooms could not carry.
pub const CARD_TEXT_BYTES: usize = 2048;

/// Most rooms in a card whose members may join: what a restricted room's rule holds in practice is one to five.
pub const CARD_ALLOWED_ROOMS: usize = 64;

/// Members kept as those who stand for a room: five are told to a client, and it is not told of itself
/// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync_response-200_roomsummary>).
pub const CARD_HEROES: usize = 6;

/// Most distinct words of an event that are found by search: three paragraphs. More rows would make a long message cost
/// more than a hundred short ones.
pub const SEARCH_WORDS: usize = 64;

/// Most characters of a word that are looked at: longer ones are no words.
pub const SEARCH_WORD_CHARS: usize = 48;

/// Most events of a timeline that are looked at for one page: a user who may see, or asks for, few of a room's events gets
/// them over several requests, each of which takes some tens of milliseconds at most.
pub const TIMELINE_LOOKED_AT: usize = 2_000;

/// Most edits of one event among which the newest valid one is looked for: more are a quarrel of bots.
pub const EDITS_LOOKED_AT: usize = 256;

/// Most references that go with an event; what a client cannot show need not be sent.
pub const REFERENCES_BUNDLED: usize = 100;

/// Most events of a thread looked at for the last that a user may see: those after it are by people they ignore.
pub const THREAD_LOOKED_AT: usize = 512;

/// Most events with one word that are looked at in a room: in a room with more, only the newest are found.
pub const SEARCH_POSTINGS: usize = 10_000;

/// Most events found by one search, over all pages.
pub const SEARCH_MATCHES: usize = 1_000;

/// Most rooms in one page of the list of public rooms, at some 400 bytes each.
pub const DIRECTORY_PAGE: usize = 1_000;

/// Most rooms in one page of a space.
pub const HIERARCHY_PAGE: usize = 50;

/// How deep spaces are walked.
pub const HIERARCHY_DEPTH: u64 = 16;

/// Most rooms of a space that are looked at: more than anybody can walk through.
pub const HIERARCHY_ROOMS: usize = 2_000;

/// Most events in one page.
pub const PAGE_EVENTS: usize = 1_000;

/// Bytes of events after which a page ends, whatever was asked for: events have up to 64 KiB each.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Most events that are read at once for a page.
pub const EVENTS_AT_ONCE: usize = 128;

/// Most types of relations in a filter by what relates to events; each is looked up for each event.
pub const FILTER_REL_TYPES: usize = 16;

/// Most relations of one type to an event that are looked at by a filter.
pub const RELATIONS_FILTERED: usize = 200;

/// How many relations may lie between an event and those that are listed as related to it, where that is asked for: at least
/// three (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventid>).
pub const RELATIONS_DEPTH: u32 = 3;

/// Most servers named with where an alias leads: one of them will be there.
pub const SERVERS_OF_ROOM: usize = 20;

/// Most results of a search in one page, and most events on each side of one.
pub const SEARCH_PAGE: usize = 100;

/// Most relations looked at for one answer that needs all of an event: those of several types, or over several steps.
pub const RELATIONS_LOOKED_AT: usize = 5_000;

/// How long a client may take to prove who it is, in all stages: a mail must be found and a password looked up.
pub const UIA_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Most clients proving it at once, at some 200 bytes each. Past it the oldest begins again.
pub const UIA_SESSIONS: usize = 10_000;

/// Longest registration token, in bytes
/// (<https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration>).
pub const REGISTRATION_TOKEN_BYTES: usize = 64;

/// How long a nonce for registration with a shared secret is good for; Synapse's figure.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(60);

/// Most such nonces at once.
pub const NONCES: usize = 1_000;

/// How long a token to log in another device with is good for: long enough to hold a phone before a screen.
pub const LOGIN_TOKEN_LIFETIME: Duration = Duration::from_secs(120);

/// How long a token that proves to others who one is is good for; Synapse's figure.
pub const OPENID_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Expired tokens removed whenever another is made: more than one, so that they never pile up.
pub const EXPIRED_REMOVED_AT_ONCE: usize = 100;

/// Largest profile, in bytes of canonical JSON (<https://spec.matrix.org/v1.19/client-server-api/#profiles>).
pub const PROFILE_BYTES: usize = 64 * 1024;

/// Longest name of a profile's field, in bytes (the same).
pub const PROFILE_FIELD_BYTES: usize = 255;

/// Longest name of a user, in characters; Synapse's figure. It is in every member event of the user.
pub const DISPLAY_NAME_CHARACTERS: usize = 256;

/// Longest address of a picture, in characters; Synapse's figure.
pub const AVATAR_URL_CHARACTERS: usize = 1_000;

/// Words of a name by which a user is found.
pub const DIRECTORY_WORDS: usize = 16;

/// Characters of such a word that are looked at; with up to 4 bytes each they fit a key.
pub const DIRECTORY_WORD_CHARACTERS: usize = 40;

/// Users looked at in one search of the directory: who finds more has typed too little.
pub const DIRECTORY_CANDIDATES: usize = 500;

/// Users shown for one search of the directory, whatever was asked.
pub const DIRECTORY_RESULTS: usize = 50;

/// Users whose presence is remembered, at some 250 bytes each.
pub const PRESENCE_USERS: usize = 50_000;

/// How long after the end of a sync its user counts as here: the next one comes at once, but for a slow network.
pub const PRESENCE_AWAY: Duration = Duration::from_secs(30);

/// How long a user who does nothing counts as online.
pub const PRESENCE_IDLE: Duration = Duration::from_secs(5 * 60);

/// How long after doing something a user counts as active.
pub const PRESENCE_ACTIVE: Duration = Duration::from_secs(60);

/// How often it is looked who has gone.
pub const PRESENCE_EVERY: Duration = Duration::from_secs(10);

/// Longest status message, in bytes: a line.
pub const PRESENCE_STATUS_BYTES: usize = 1_024;

/// Largest filter, in bytes: lists of hundreds of rooms fit.
pub const FILTER_BYTES: usize = 32 * 1024;

/// Most filters of a user. Clients have one or two for each version of theirs.
pub const FILTERS_PER_USER: usize = 1_000;

/// Rows removed in one batch of what an account leaves behind.
pub const ROWS_REMOVED_AT_ONCE: usize = 1_000;

/// Most algorithms of which a device may have one-time keys: clients have one, ours two.
pub const ONE_TIME_KEY_ALGORITHMS: usize = 8;

/// Most one-time keys of an algorithm that a device may have. Clients keep 50 to 100 on the server.
pub const ONE_TIME_KEYS: u64 = 1_000;

/// How many one-time keys that were claimed are remembered of each algorithm, so that a client that repeats an upload
/// whose answer it missed does not have a key given out a second time. An upload has 50 to 100.
pub const CLAIMED_KEYS_REMEMBERED: u64 = 200;

/// Largest one-time key, in bytes of JSON: a post-quantum one with its signature has 2 KB.
pub const ONE_TIME_KEY_BYTES: usize = 8 * 1024;

/// Most bytes of one-time keys in one upload: what a batch takes with room to spare.
pub const KEY_UPLOAD_BYTES: usize = 4 * 1024 * 1024;

/// Most one-time keys claimed in one request: three devices of each member of a room of 3,000.
pub const KEYS_CLAIMED: usize = 10_000;

/// Most claims answered by one batch. Requests that come while one is being written share the next; at 250 bytes a
/// device these are 250 KB.
pub const CLAIMS_AT_ONCE: usize = 1_000;

/// Most users whose keys are asked for in one request; a client with more asks again.
pub const KEY_QUERY_USERS: usize = 10_000;

/// Largest device keys or cross-signing key as stored, in bytes of JSON: the signatures of a thousand devices fit, and it
/// stays below [`VALUE_BYTES`].
pub const SIGNED_KEY_BYTES: usize = 64 * 1024;

/// Most objects with new signatures in one request: a user who verifies everybody they know at once.
pub const SIGNATURES_UPLOADED: usize = 1_000;

/// Most changes of users' keys that are kept in memory of each partition, at about 100 bytes each. A client that was away
/// for longer than these reach back is answered from the store.
pub const KEY_CHANGES_IN_MEMORY: usize = 20_000;

/// Largest message to a device, in bytes of JSON: as an event
/// (<https://spec.matrix.org/v1.19/client-server-api/#size-limits>).
pub const TO_DEVICE_BYTES: usize = 65_535;

/// Most bytes that one request may leave in all inboxes together, in bytes: it is one batch.
pub const TO_DEVICE_SENT_BYTES: usize = 7 * 1024 * 1024;

/// Most messages in one request, after `*` was replaced by a user's devices; clients send 250 at once.
pub const TO_DEVICE_MESSAGES: usize = 10_000;

/// Most messages that wait for one device. A device that was off for a month in rooms of a thousand people gets fewer; one
/// that never comes back must not fill the disk.
pub const TO_DEVICE_WAITING: u64 = 20_000;

/// Most bytes that wait for one device: the messages above at their usual 1.5 KB.
pub const TO_DEVICE_WAITING_BYTES: u64 = 32 * 1024 * 1024;

/// Inboxes whose size is remembered, at about 60 bytes each.
pub const TO_DEVICE_SIZES: u64 = 100_000;

/// How long the size of an inbox that is full is believed: another node may have emptied it.
pub const TO_DEVICE_FULL_FOR: Duration = Duration::from_secs(60);

/// Most messages to a device in one answer (<https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-8>).
pub const TO_DEVICE_AT_ONCE: usize = 100;

/// Most rows removed in one batch of what a device or backup left behind, at 25 to 60 bytes of key each.
pub const LEFTOVERS_REMOVED: usize = 5_000;

/// How long after its end a device is swept once more: what was on its way to it then has arrived by now.
pub const LEFTOVER_GRACE: Duration = Duration::from_secs(10 * 60);

/// Most versions of a key backup that a user may have. Clients remove the old one when they make another.
pub const KEY_BACKUPS: usize = 100;

/// Largest description of a key backup, in bytes of JSON: a public key and the signatures of many devices.
pub const KEY_BACKUP_DESCRIPTION_BYTES: usize = 64 * 1024;

/// Largest session in a key backup, in bytes of JSON: a real one has 1 KB.
pub const KEY_BACKUP_SESSION_BYTES: usize = 32 * 1024;

/// Most bytes of backed-up sessions written in one batch. A request with more becomes several; by the replacement rule
/// a repetition of it changes nothing.
pub const KEY_BACKUP_BATCH_BYTES: usize = 1024 * 1024;

/// Most sessions read at once for who restores a key backup: 1 MB of memory, however much is restored.
pub const KEY_BACKUP_PAGE: usize = 1_000;

/// Longest id of a session in a key backup, in bytes; a real one has 43.
pub const SESSION_ID_BYTES: usize = 255;

/// Largest description of a dehydrated device, in bytes of JSON: a pickle has some KB.
pub const DEHYDRATED_BYTES: usize = 64 * 1024;

/// Most rooms (and as many users) of which sync remembers when something last happened, for each partition of the log. At
/// 50 bytes each they are a few megabytes; of others the store is asked.
pub const SYNC_INDEXED: usize = 100_000;

/// Most memberships of rooms that sync keeps in memory to know whom to wake, at 17 bytes each.
pub const SYNC_MEMBERS: usize = 500_000;

/// Events of a room in a sync whose filter does not say how many.
pub const SYNC_TIMELINE: usize = 10;

/// Most events of a room in a sync, whatever its filter asks for; more are paged back.
pub const SYNC_TIMELINE_MOST: usize = 100;

/// Most `event_fields` of a filter that are looked at.
pub const SYNC_EVENT_FIELDS: usize = 100;

/// Most bytes of events that sync keeps as clients get them: what happened in the last minutes in the rooms in use, so
/// that a message to a hundred members is put together once.
pub const SYNC_RENDERED_BYTES: u64 = 64 * 1024 * 1024;

/// Most messages to a device in one answer; what is left comes with the next, which does not wait.
pub const SYNC_TO_DEVICE: usize = 100;

/// Most devices of which sync knows up to where their messages were let go of, at 150 bytes each.
pub const SYNC_ACKNOWLEDGED: u64 = 50_000;

/// Most lists in a request of sliding sync, as its proposal has it.
pub const SLIDING_LISTS: usize = 100;

/// Longest name of a list, or of a connection, in bytes, as the proposal of sliding sync has it.
pub const SLIDING_LIST_NAME_BYTES: usize = 64;

/// Most rooms that a request of sliding sync subscribes to.
pub const SLIDING_SUBSCRIPTIONS: usize = 1_000;

/// Most pairs of type and state key that a list asks for.
pub const SLIDING_REQUIRED_STATE: usize = 500;

/// Most events of a room in an answer of sliding sync, whatever is asked for.
pub const SLIDING_TIMELINE_MOST: u64 = 100;

/// Most events of a room among which the last is looked for that moves it to the front of its lists.
pub const SLIDING_BUMPS_LOOKED_AT: usize = 500;

/// How many of these are read at once.
pub const SLIDING_BUMPS_PAGE: usize = 50;

/// Most bytes of what connections were told: 10,000 of them with 50 rooms each.
pub const SLIDING_CONNECTION_BYTES: u64 = 64 * 1024 * 1024;

/// How long a connection is kept that nobody uses; its client then begins anew.
pub const SLIDING_CONNECTION_IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Most bytes of filters that sync keeps read: 10,000 of the usual size. Clients name theirs with every request.
pub const SYNC_FILTER_BYTES: u64 = 16 * 1024 * 1024;

/// Most bytes of users' lists of rooms that sync keeps: 20,000 users in 16 rooms each.
pub const SYNC_USER_ROOMS_BYTES: u64 = 64 * 1024 * 1024;

/// Most rooms whose id and partition sync keeps, at 150 bytes each.
pub const SYNC_ROOM_INFOS: u64 = 100_000;

/// Most rooms, counted once for each device, for which sync knows of which members the device was told.
pub const SYNC_TOLD_ROOMS: u64 = 50_000;

/// Most members of whom a device is known to have been told, in one room.
pub const SYNC_TOLD_MEMBERS: usize = 200;

/// Most initial syncs computed at once. They take tens of milliseconds each; more at once would only delay all others.
pub const SYNC_LONG_AT_ONCE: usize = 4;

/// How many members a client is told of that stand for a room without a name
/// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync_response-200_roomsummary>).
pub const SYNC_HEROES: usize = 5;

/// Most former members among whom stand-ins for a room are looked for when nobody else is left in it.
pub const SYNC_GONE_HEROES: u64 = 1_000;

/// Up to how many users it is asked one by one whether they share a room with another; of more, all members of all rooms
/// are read.
pub const SYNC_SHARED_ONE_BY_ONE: usize = 200;

/// Longest that a sync waits for something to tell, whatever the client asks for: proxies on the way give up after a few
/// minutes.
pub const SYNC_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Bytes of push rules taken apart that are kept: at 30 KB for the default ones, those of 1,000 users who are here now.
pub const PUSH_SETTINGS_BYTES: u64 = 32 * 1024 * 1024;

/// Most push rules of a user, those of the server included: clients make one for each room that is to be louder or quieter.
pub const PUSH_RULES: usize = 1_000;

/// Longest name of a push rule, in bytes: the longest room id.
pub const PUSH_RULE_NAME_BYTES: usize = 255;

/// Longest pattern of a push rule, in bytes: a sentence. It is compared with every letter of every message.
pub const PUSH_PATTERN_BYTES: usize = 512;

/// Most conditions of a push rule; the server's own have two.
pub const PUSH_CONDITIONS: usize = 32;

/// Most actions of a push rule; the server's own have three.
pub const PUSH_ACTIONS: usize = 32;

/// Most pushers of a user: one for each device that anybody carries, and some that were forgotten.
pub const PUSHERS: usize = 100;

/// Longest pushkey, in bytes (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset>).
pub const PUSHKEY_BYTES: usize = 512;

/// Longest app id of a pusher, in characters; see [`PUSHKEY_BYTES`].
pub const PUSH_APP_ID_CHARS: usize = 64;

/// Largest pusher, in bytes of JSON: the address of a gateway, and what some put into the key of web push.
pub const PUSHER_BYTES: usize = 16 * 1024;

/// Most reports by users that are kept for administrators: at 5 KiB at most each, 50 MB.
pub const REPORTS: u64 = 10_000;

/// Longest reason of a report, in bytes: a page of text.
pub const REPORT_REASON_BYTES: usize = 4_096;

/// Lanes in which appends to rooms wait for each other: so many that two busy rooms seldom share one.
pub const ROOM_LANES: usize = 256;

/// Events of rooms in memory, in bytes: power levels, memberships and last events of 10,000 rooms in use.
pub const ROOM_CACHE_EVENTS_BYTES: u64 = 64 * 1024 * 1024;

/// Nodes of rooms' states in memory, in bytes: the paths to what appends look up, 4 nodes of 1 KB at most in a large room.
pub const ROOM_CACHE_NODES_BYTES: u64 = 32 * 1024 * 1024;

/// Each of the lists of rooms' numbers, events' numbers, keys' numbers and auth chains in memory, in bytes.
pub const ROOM_CACHE_NAMES_BYTES: u64 = 16 * 1024 * 1024;

/// How long a reader of the log may take to end when the server stops: what it was doing is done again at the next start.
pub const READERS_STOP: Duration = Duration::from_secs(1);

/// Log entries that the reader for push gateways takes at once: all of them are told before it goes on.
pub const PUSH_BATCH: usize = 100;

/// Push gateways that are asked at once.
pub const PUSH_AT_ONCE: usize = 64;

/// How long the reader waits for the slowest gateway before it goes on without it: gateways answer in a tenth of a second.
pub const PUSH_PATIENCE: Duration = Duration::from_secs(2);

/// How long one question to a push gateway may take.
pub const PUSH_DEADLINE: Duration = Duration::from_secs(10);

/// Largest answer of a push gateway that is read, in bytes: a list of rejected pushkeys.
pub const PUSH_ANSWER_BYTES: usize = 64 * 1024;

/// The wait after the first failure of a push gateway.
pub const PUSH_RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest wait between attempts at a push gateway: an hour spares one that is gone for good.
pub const PUSH_RETRY_MOST: Duration = Duration::from_secs(60 * 60);

/// Events that are not told any more when a gateway comes back are as old as this: nobody wants to be woken by yesterday.
pub const PUSH_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Events of one room that a gateway is told of when it comes back; the newest of them.
pub const PUSH_MISSED: usize = 50;

/// Rooms whose unread events are counted for the number on an app.
pub const PUSH_BADGE_ROOMS: usize = 1_000;

/// Rooms of which it is remembered who of those with pushers is in them.
pub const PUSH_AUDIENCES: u64 = 10_000;

/// How long a request to another machine may take, when its sender does not say otherwise.
pub const OUTGOING_DEADLINE: Duration = Duration::from_secs(30);

/// How long connecting to another machine may take, TLS included.
pub const OUTGOING_CONNECT: Duration = Duration::from_secs(10);

/// How long an outgoing connection is kept for the next request.
pub const OUTGOING_IDLE: Duration = Duration::from_secs(90);

/// Connections to one host that are kept for the next request.
pub const OUTGOING_IDLE_PER_HOST: usize = 4;

/// Largest header of an answer over HTTP/2, in bytes; over HTTP/1 the library has a bound of its own.
pub const OUTGOING_HEADER_BYTES: u32 = 64 * 1024;

/// Largest answer of another machine that is read when the sender of the request does not say otherwise, in bytes: a page of
/// a room's history in a federation.
pub const OUTGOING_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Rows or events removed in one batch of a purge: one with all that is kept with it is 2 KiB of keys at most.
pub const PURGED_AT_ONCE: usize = 500;
