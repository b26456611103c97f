/*
 * The simulated sound card: an ALSA PCM of `type simcard`, without kernel driver, daemon or root.
 *
 * The card lives inside the process that opens it, as an alsa-lib ioplug plugin.  Its converter is arithmetic: the
 * frame that is at the converter now follows from CLOCK_MONOTONIC and from the time of the start.  The files are
 * brought up to date whenever the application calls or waits; the times in them are exact all the same.
 *
 *   source    capture: what the microphone hears, a FIFO or a file of raw S16_LE at the rate and channels in use.
 *             Empty means silence.  Sound that comes after silence is heard from that moment on, never earlier.
 *   air       capture, instead of a source: a file in which frame k is what is at the microphone when frame k of the
 *             sink is captured.  Whoever writes it may be late by half a buffer: the driver is then late as well, and
 *             nothing is lost.  What comes later than that is silence.
 *   queue     playback: a file in which frame k is what was handed over to become frame k of the sink.  It is there
 *             before it sounds, and what was dropped is cut off when the stream is prepared again.
 *   sink      what passed the converter is appended here: what was really played, or what was captured, lost or not.
 *   timeline  one line for each event: <what> <nanoseconds> <frame> <rate>.  See note().
 *   lock      held while the card is open; a second opener, in any process, gets -EBUSY.
 *   unplug    while this file exists, every call and every open fail with -ENODEV; a handle that has noticed it stays
 *             dead, as with a real card.
 *   hang      while this file exists, a read or a write of samples does not return, as in a driver that hangs.
 *   rate      the only rate offered, Hz; without it 8 to 192 kHz.
 *   channels  the only number of channels offered; without it 1 or 2.
 *   ppm       clock error, parts per million; positive is fast.
 *
 * All fields but `type` may be left out.  An application that is too slow gets -EPIPE, as from hardware.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>

#define NS_PER_S 1000000000LL
#define NS_PER_US 1000LL
/* A waiting application is woken at least this often, to notice that the card was unplugged. */
#define LONGEST_SLEEP_NS (20 * 1000 * NS_PER_US)
/* How soon a microphone looks again for air that is late. */
#define LATE_AIR_NS (1000 * NS_PER_US)
/* How soon a driver that hung comes back when it may. */
#define HANG_SLEEP_US 5000

struct settings {
	const char *source, *air, *queue, *sink, *timeline, *lock, *unplug, *hang;
	long rate, channels;
	double ppm;
};

struct card {
	snd_pcm_ioplug_t io;
	char *unplug, *hang;
	double ppm;
	int timer_fd; /* what applications poll */
	int source_fd, air_fd, queue_fd, sink_fd, timeline_fd, lock_fd;

	bool running; /* between start and stop or xrun */
	bool starved; /* the source is empty, silence is captured */
	int64_t start_ns;
	snd_pcm_uframes_t avail_min;
	unsigned int frame_bytes;

	char *ring;	/* buffer_size frames: still to be played, or still to be read */
	int64_t passed; /* frames that passed the converter since prepare */
	int64_t before; /* frames that passed it before that: where `passed` begins in the sink */
};

static bool plays(const struct card *card)
{
	return card->io.stream == SND_PCM_STREAM_PLAYBACK;
}

/* ---- time ---- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Frames per second by the clock of the computer. */
static double true_rate(const struct card *card)
{
	return card->io.rate * (1.0 + card->ppm * 1e-6);
}

/* The frame, counted from the start, that is at the converter now. */
static int64_t frame_now(const struct card *card)
{
	return (int64_t)((double)(now_ns() - card->start_ns) * true_rate(card) / NS_PER_S);
}

/* The moment at which a frame, counted from the start, is at the converter. */
static int64_t moment_of(const struct card *card, int64_t frame)
{
	return card->start_ns + (int64_t)((double)frame * NS_PER_S / true_rate(card));
}

/* Make the poll descriptor readable at this moment, and not before. */
static void wake_at(const struct card *card, int64_t ns)
{
	struct itimerspec when = { .it_value = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S } };

	timerfd_settime(card->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void wake_now(const struct card *card)
{
	wake_at(card, 1);
}

/* Make the poll descriptor readable when this many more frames have passed the converter. */
static void wake_after(const struct card *card, int64_t frames)
{
	/* One microsecond late, so that rounding does not make it one frame early. */
	int64_t due = moment_of(card, card->passed + frames) + NS_PER_US;
	int64_t now = now_ns(), latest = now + LONGEST_SLEEP_NS;

	if (card->air_fd >= 0 && due <= now) /* the air is late */
		due = now + LATE_AIR_NS;
	wake_at(card, card->running && due < latest ? due : latest);
}

/*
 * Write a line into the timeline: what happened at a frame counted from the start.  The frame in the file is its
 * place in the sink, the time is the exact one at which it was at the converter.
 *
 *   start    the converter runs; this frame is the first
 *   stop     it was stopped or has played out; this frame would have been the next
 *   xrun     it ran out of data or of room and stopped by itself; this frame would have been the next
 *   starved  the source was empty, or the air too late; silence is captured from this frame on
 *   heard    the source has sound again; its first frame is this one
 */
static void note(const struct card *card, const char *what, int64_t frame)
{
	if (card->timeline_fd >= 0)
		dprintf(card->timeline_fd, "%s %" PRId64 " %" PRId64 " %.6f\n", what, moment_of(card, frame),
			card->before + frame, true_rate(card));
}

/* ---- the converter ---- */

/* The place in the sink of the next frame that passes. */
static int64_t place(const struct card *card)
{
	return card->before + card->passed;
}

/* A piece of the ring that does not wrap: its address, and its length at most `frames`. */
static char *ring_piece(const struct card *card, int64_t frame, int64_t *frames)
{
	int64_t size = card->io.buffer_size, at = frame % size;

	if (*frames > size - at)
		*frames = size - at;
	return card->ring + at * card->frame_bytes;
}

/* Whole frames that can be read from the source, or from the air, at once. */
static int64_t source_frames(const struct card *card)
{
	struct stat air;
	int bytes = 0;

	if (card->air_fd >= 0) {
		int64_t ahead = fstat(card->air_fd, &air) < 0 ? 0 : air.st_size / card->frame_bytes - place(card);

		return ahead > 0 ? ahead : 0;
	}
	if (card->source_fd < 0 || ioctl(card->source_fd, FIONREAD, &bytes) < 0)
		return 0;
	return bytes / card->frame_bytes;
}

static ssize_t read_source(const struct card *card, char *piece, size_t bytes)
{
	if (card->air_fd >= 0)
		return pread(card->air_fd, piece, bytes, place(card) * card->frame_bytes);
	return read(card->source_fd, piece, bytes);
}

static void write_sink(const struct card *card, const char *data, int64_t frames)
{
	/* A full disk does not stop a sound card. */
	if (card->sink_fd >= 0 && write(card->sink_fd, data, frames * card->frame_bytes) < 0)
		return;
}

/* Take frames from the source, or silence, into the ring. */
static void record(struct card *card, int64_t frames, bool silence)
{
	while (frames > 0) {
		int64_t n = frames;
		char *piece = ring_piece(card, card->passed, &n);
		ssize_t got = silence ? 0 : read_source(card, piece, n * card->frame_bytes);

		if (got < 0)
			got = 0;
		memset(piece + got, 0, n * card->frame_bytes - got);
		write_sink(card, piece, n);
		card->passed += n;
		frames -= n;
	}
}

/* The frame that is at the converter, or that would be if the air were not a little late. */
static int64_t frame_heard(const struct card *card)
{
	int64_t now = frame_now(card), end;

	if (card->air_fd < 0 || card->starved)
		return now;
	end = card->passed + source_frames(card);
	/* Half a buffer: with all of it the application would see an overrun that is not its own. */
	return now > end && now - end < (int64_t)card->io.buffer_size / 2 ? end : now;
}

static void capture_until(struct card *card, int64_t frame)
{
	int64_t due = frame - card->passed;
	int64_t ready = source_frames(card);

	if (due <= 0)
		return;
	if (card->starved) {
		record(card, due, true);
		if (ready > 0) {
			card->starved = false;
			note(card, "heard", frame);
		}
		return;
	}
	if (ready > due)
		ready = due;
	record(card, ready, false);
	if (ready < due) {
		card->starved = true;
		note(card, "starved", card->passed);
		record(card, due - ready, true);
	}
}

/* Throw away what was said while the converter stood still. */
static void miss(const struct card *card, int64_t frames)
{
	char nowhere[4096];
	int64_t ready = source_frames(card);
	size_t bytes = (frames < ready ? frames : ready) * card->frame_bytes;

	if (card->source_fd < 0)
		return;
	while (bytes > 0) {
		ssize_t got = read(card->source_fd, nowhere, bytes < sizeof(nowhere) ? bytes : sizeof(nowhere));

		if (got <= 0)
			return;
		bytes -= got;
	}
}

static void play_until(struct card *card, int64_t frame)
{
	while (card->passed < frame) {
		int64_t n = frame - card->passed;
		const char *piece = ring_piece(card, card->passed, &n);

		write_sink(card, piece, n);
		card->passed += n;
	}
}

/* Let the converter catch up with the clock.  Return false when it found nothing to play or no room to record. */
static bool catch_up(struct card *card)
{
	int64_t now = plays(card) ? frame_now(card) : frame_heard(card), application = card->io.appl_ptr;
	int64_t end = plays(card) ? application : application + (int64_t)card->io.buffer_size;
	int64_t until = now < end ? now : end;

	if (plays(card))
		play_until(card, until);
	else
		capture_until(card, until);
	if (now < end || card->io.state == SND_PCM_STATE_DRAINING)
		return true;
	if (!plays(card))
		miss(card, now - end);
	return false;
}

/* ---- what alsa-lib calls ---- */

static bool is_gone(const struct card *card)
{
	return card->unplug && access(card->unplug, F_OK) == 0;
}

/* Keep the application, and with it alsa-lib's lock of this stream, for as long as the driver is to hang. */
static void hang(const struct card *card)
{
	while (card->hang && access(card->hang, F_OK) == 0)
		usleep(HANG_SLEEP_US);
}

static int simcard_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
	struct card *card = io->private_data;

	return snd_pcm_sw_params_get_avail_min(params, &card->avail_min);
}

static int simcard_prepare(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;

	if (is_gone(card))
		return -ENODEV;
	card->frame_bytes = snd_pcm_format_physical_width(io->format) / 8 * io->channels;
	free(card->ring);
	card->ring = calloc(io->buffer_size, card->frame_bytes);
	if (!card->ring)
		return -ENOMEM;
	card->running = false;
	card->passed = 0;
	card->before = 0;
	if (card->sink_fd >= 0)
		card->before = lseek(card->sink_fd, 0, SEEK_END) / card->frame_bytes;
	if (card->queue_fd >= 0 && ftruncate(card->queue_fd, card->before * card->frame_bytes) < 0)
		return -errno;
	wake_now(card); /* an empty buffer can be written at once */
	return 0;
}

static int simcard_start(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;

	if (is_gone(card))
		return -ENODEV;
	card->start_ns = now_ns();
	card->running = true;
	note(card, "start", 0);
	card->starved = !plays(card) && card->air_fd < 0 && source_frames(card) == 0;
	if (card->starved)
		note(card, "starved", 0);
	wake_after(card, card->avail_min);
	return 0;
}

static int simcard_stop(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;

	if (card->running) {
		bool flowing = catch_up(card);

		note(card, flowing ? "stop" : "xrun", card->passed);
	}
	card->running = false;
	wake_now(card); /* a thread that waits in a write must see that all was dropped */
	return 0;
}

static snd_pcm_sframes_t simcard_pointer(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;

	if (is_gone(card)) {
		simcard_stop(io);
		/* An error from here would be told as an xrun; alsa-lib never leaves this state again. */
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
		return card->passed;
	}
	if (card->running && !catch_up(card)) {
		note(card, "xrun", card->passed);
		card->running = false;
		return -EPIPE;
	}
	return card->passed;
}

/* Tell what is going to sound, and where in the sink; a full disk does not stop a sound card. */
static void write_queue(const struct card *card, const char *data, int64_t frame, int64_t frames)
{
	if (card->queue_fd >= 0 && pwrite(card->queue_fd, data, frames * card->frame_bytes,
					  (card->before + frame) * card->frame_bytes) < 0)
		return;
}

static snd_pcm_sframes_t simcard_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
					  snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
	struct card *card = io->private_data;
	char *data = (char *)areas->addr + (areas->first + areas->step * offset) / 8;
	int64_t done = 0, frames = size;

	hang(card);
	if (is_gone(card))
		return -ENODEV;
	if (plays(card))
		write_queue(card, data, io->appl_ptr, frames);
	while (done < frames) {
		int64_t n = frames - done;
		char *piece = ring_piece(card, (int64_t)io->appl_ptr + done, &n);

		if (plays(card))
			memcpy(piece, data + done * card->frame_bytes, n * card->frame_bytes);
		else
			memcpy(data + done * card->frame_bytes, piece, n * card->frame_bytes);
		done += n;
	}
	return frames;
}

static int simcard_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count, unsigned short *revents)
{
	struct card *card = io->private_data;
	unsigned short ready = plays(card) ? POLLOUT : POLLIN;
	snd_pcm_sframes_t avail = snd_pcm_avail_update(io->pcm);
	/* Whoever drains waits until nothing is left, not until there is room. */
	snd_pcm_sframes_t wanted = io->state == SND_PCM_STATE_DRAINING ? io->buffer_size : card->avail_min;

	(void)fds;
	(void)count;
	if (io->state == SND_PCM_STATE_DISCONNECTED) {
		*revents = POLLERR | POLLHUP;
	} else if (avail < 0 || io->state == SND_PCM_STATE_SETUP) {
		*revents = POLLERR | ready; /* SETUP: another thread dropped the stream under a waiting write */
	} else if (avail >= wanted) {
		*revents = ready;
	} else {
		*revents = 0;
		wake_after(card, wanted - avail);
	}
	return 0;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void card_free(struct card *card)
{
	close_if_open(card->timer_fd);
	close_if_open(card->source_fd);
	close_if_open(card->air_fd);
	close_if_open(card->queue_fd);
	close_if_open(card->sink_fd);
	close_if_open(card->timeline_fd);
	close_if_open(card->lock_fd);
	free(card->unplug);
	free(card->hang);
	free(card->ring);
	free(card);
}

static int simcard_close(snd_pcm_ioplug_t *io)
{
	simcard_stop(io);
	card_free(io->private_data);
	return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
	.sw_params = simcard_sw_params,
	.prepare = simcard_prepare,
	.start = simcard_start,
	.stop = simcard_stop,
	.pointer = simcard_pointer,
	.transfer = simcard_transfer,
	.poll_revents = simcard_poll_revents,
	.close = simcard_close,
};

/* ---- opening ---- */

static int set_constraints(snd_pcm_ioplug_t *io, const struct settings *set)
{
	/* Without mmap, `type plug` on top cannot convert: its converters want nothing else from the card below. */
	static const unsigned int accesses[] = { SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED };
	static const unsigned int formats[] = { SND_PCM_FORMAT_S16_LE };
	const struct {
		int what;
		unsigned int min, max;
	} ranges[] = {
		{ SND_PCM_IOPLUG_HW_RATE, set->rate ? set->rate : 8000, set->rate ? set->rate : 192000 },
		{ SND_PCM_IOPLUG_HW_CHANNELS, set->channels ? set->channels : 1, set->channels ? set->channels : 2 },
		{ SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 1 << 20 },
		{ SND_PCM_IOPLUG_HW_BUFFER_BYTES, 128, 1 << 22 },
		{ SND_PCM_IOPLUG_HW_PERIODS, 2, 1024 },
	};
	int err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, accesses);

	if (err >= 0)
		err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, formats);
	for (size_t i = 0; err >= 0 && i < sizeof(ranges) / sizeof(ranges[0]); i++)
		err = snd_pcm_ioplug_set_param_minmax(io, ranges[i].what, ranges[i].min, ranges[i].max);
	return err;
}

static int read_settings(snd_config_t *conf, struct settings *set)
{
	snd_config_iterator_t i, next;

	snd_config_for_each(i, next, conf) {
		snd_config_t *entry = snd_config_iterator_entry(i);
		const char *id;
		int err = 0;

		if (snd_config_get_id(entry, &id) < 0 || !strcmp(id, "comment") || !strcmp(id, "type") ||
		    !strcmp(id, "hint"))
			continue;
		if (!strcmp(id, "source"))
			err = snd_config_get_string(entry, &set->source);
		else if (!strcmp(id, "air"))
			err = snd_config_get_string(entry, &set->air);
		else if (!strcmp(id, "queue"))
			err = snd_config_get_string(entry, &set->queue);
		else if (!strcmp(id, "sink"))
			err = snd_config_get_string(entry, &set->sink);
		else if (!strcmp(id, "timeline"))
			err = snd_config_get_string(entry, &set->timeline);
		else if (!strcmp(id, "lock"))
			err = snd_config_get_string(entry, &set->lock);
		else if (!strcmp(id, "unplug"))
			err = snd_config_get_string(entry, &set->unplug);
		else if (!strcmp(id, "hang"))
			err = snd_config_get_string(entry, &set->hang);
		else if (!strcmp(id, "rate"))
			err = snd_config_get_integer(entry, &set->rate);
		else if (!strcmp(id, "channels"))
			err = snd_config_get_integer(entry, &set->channels);
		else if (!strcmp(id, "ppm"))
			err = snd_config_get_ireal(entry, &set->ppm);
		else
			err = -EINVAL;
		if (err < 0) {
			SNDERR("simcard: the field %s is unknown or invalid", id);
			return err;
		}
	}
	return 0;
}

/* Open a file unless its path is NULL; the descriptor stays -1 then. */
static int open_file(int *fd, const char *path, int flags)
{
	int err;

	if (!path)
		return 0;
	*fd = open(path, flags | O_CLOEXEC, 0644);
	if (*fd >= 0)
		return 0;
	err = -errno;
	SNDERR("simcard: cannot open %s: %s", path, strerror(-err));
	return err;
}

static int open_files(struct card *card, snd_pcm_stream_t stream, const struct settings *set)
{
	const int append = O_WRONLY | O_CREAT | O_APPEND;
	int err = open_file(&card->lock_fd, set->lock, O_RDWR | O_CREAT);

	if (err < 0)
		return err;
	if (card->lock_fd >= 0 && flock(card->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return -EBUSY;
	err = open_file(&card->sink_fd, set->sink, append);
	if (err >= 0)
		err = open_file(&card->timeline_fd, set->timeline, append);
	if (err >= 0 && stream == SND_PCM_STREAM_CAPTURE)
		err = open_file(&card->source_fd, set->source, O_RDONLY | O_NONBLOCK);
	if (err >= 0 && stream == SND_PCM_STREAM_CAPTURE)
		err = open_file(&card->air_fd, set->air, O_RDONLY);
	if (err >= 0 && stream == SND_PCM_STREAM_PLAYBACK)
		err = open_file(&card->queue_fd, set->queue, O_RDWR | O_CREAT);
	if (err < 0)
		return err;
	card->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return card->timer_fd < 0 ? -errno : 0;
}

static int card_new(struct card **result, snd_pcm_stream_t stream, const struct settings *set)
{
	struct card *card = calloc(1, sizeof(*card));
	int err;

	if (!card)
		return -ENOMEM;
	card->timer_fd = card->source_fd = card->air_fd = card->queue_fd = -1;
	card->sink_fd = card->timeline_fd = card->lock_fd = -1;
	card->ppm = set->ppm;
	if ((set->unplug && !(card->unplug = strdup(set->unplug))) || (set->hang && !(card->hang = strdup(set->hang))))
		err = -ENOMEM;
	else if (is_gone(card))
		err = -ENODEV;
	else
		err = open_files(card, stream, set);
	if (err < 0) {
		card_free(card);
		return err;
	}
	*result = card;
	return 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(simcard)
{
	struct settings set = { 0 };
	struct card *card;
	int err = read_settings(conf, &set);

	(void)root;
	if (err >= 0)
		err = card_new(&card, stream, &set);
	if (err < 0)
		return err;
	card->io.version = SND_PCM_IOPLUG_VERSION;
	card->io.name = "simulated sound card";
	card->io.callback = &callbacks;
	card->io.private_data = card;
	card->io.poll_fd = card->timer_fd;
	card->io.poll_events = POLLIN;
	/* BOUNDARY_WA: pointer() counts frames on and on, it does not wrap at the end of the buffer. */
	card->io.flags = SND_PCM_IOPLUG_FLAG_BOUNDARY_WA | SND_PCM_IOPLUG_FLAG_MONOTONIC;
	err = snd_pcm_ioplug_create(&card->io, name, stream, mode);
	if (err < 0) {
		card_free(card);
		return err;
	}
	err = set_constraints(&card->io, &set);
	if (err < 0) {
		snd_pcm_ioplug_delete(&card->io); /* calls simcard_close() */
		return err;
	}
	*pcmp = card->io.pcm;
	return 0;
}

SND_PCM_PLUGIN_SYMBOL(simcard);
