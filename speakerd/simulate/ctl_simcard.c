/*
 * The mixer of the simulated sound card: an ALSA control device of `type simcard`, without kernel driver or root.
 *
 *   state     a file with two numbers: the volume of the control "Speaker", 0 to 56 in steps of 1 dB from -50 to +6 dB,
 *             and 1 where it is on, 0 where it is muted.
 *
 * What is written by one program is read by the next. The sound itself is not changed by it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <alsa/asoundlib.h>
#include <alsa/control_external.h>

enum { VOLUME, SWITCH, CONTROLS };

#define STEPS 56
static const unsigned int SCALE[] = { SND_CTL_TLVT_DB_SCALE, 2 * sizeof(int), (unsigned int)-5000, 100 };
static const char *const NAMES[CONTROLS] = { "Speaker Playback Volume", "Speaker Playback Switch" };

static int load(snd_ctl_ext_t *ext, long values[CONTROLS])
{
	FILE *file = fopen(ext->private_data, "r");
	if (!file)
		return -errno;
	int found = fscanf(file, "%ld %ld", &values[VOLUME], &values[SWITCH]);
	fclose(file);
	return found == CONTROLS ? 0 : -EIO;
}

static int store(snd_ctl_ext_t *ext, const long values[CONTROLS])
{
	FILE *file = fopen(ext->private_data, "w");
	if (!file)
		return -errno;
	fprintf(file, "%ld %ld\n", values[VOLUME], values[SWITCH]);
	return fclose(file) ? -errno : 0;
}

static int elem_count(snd_ctl_ext_t *ext)
{
	(void)ext;
	return CONTROLS;
}

static int elem_list(snd_ctl_ext_t *ext, unsigned int offset, snd_ctl_elem_id_t *id)
{
	(void)ext;
	snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
	snd_ctl_elem_id_set_name(id, NAMES[offset]);
	return 0;
}

static snd_ctl_ext_key_t find_elem(snd_ctl_ext_t *ext, const snd_ctl_elem_id_t *id)
{
	(void)ext;
	for (int control = 0; control < CONTROLS; control++)
		if (!strcmp(snd_ctl_elem_id_get_name(id), NAMES[control]))
			return control;
	return SND_CTL_EXT_KEY_NOT_FOUND;
}

static int get_attribute(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int *type, unsigned int *acc, unsigned int *count)
{
	(void)ext;
	*type = key == VOLUME ? SND_CTL_ELEM_TYPE_INTEGER : SND_CTL_ELEM_TYPE_BOOLEAN;
	*acc = SND_CTL_EXT_ACCESS_READWRITE | (key == VOLUME ? SND_CTL_EXT_ACCESS_TLV_READ : 0);
	*count = 1;
	return 0;
}

static int get_integer_info(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *imin, long *imax, long *istep)
{
	(void)ext;
	*imin = 0;
	*imax = key == VOLUME ? STEPS : 1;
	*istep = 1;
	return 0;
}

static int read_integer(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
	long values[CONTROLS];
	int error = load(ext, values);
	if (!error)
		*value = values[key];
	return error;
}

static int write_integer(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
	long values[CONTROLS];
	int error = load(ext, values);
	if (error || values[key] == *value)
		return error;
	values[key] = *value;
	error = store(ext, values);
	return error ? error : 1;
}

static int read_event(snd_ctl_ext_t *ext, snd_ctl_elem_id_t *id, unsigned int *mask)
{
	(void)ext, (void)id, (void)mask;
	return -EAGAIN;
}

static void close_mixer(snd_ctl_ext_t *ext)
{
	free(ext->private_data);
	free(ext);
}

static const snd_ctl_ext_callback_t CALLBACKS = {
	.close = close_mixer,
	.elem_count = elem_count,
	.elem_list = elem_list,
	.find_elem = find_elem,
	.get_attribute = get_attribute,
	.get_integer_info = get_integer_info,
	.read_integer = read_integer,
	.write_integer = write_integer,
	.read_event = read_event,
};

SND_CTL_PLUGIN_DEFINE_FUNC(simcard)
{
	snd_config_iterator_t at, next;
	const char *state = NULL;

	(void)root;
	snd_config_for_each(at, next, conf) {
		snd_config_t *field = snd_config_iterator_entry(at);
		const char *id;
		if (!snd_config_get_id(field, &id) && !strcmp(id, "state"))
			snd_config_get_string(field, &state);
	}
	if (!state)
		return -EINVAL;

	snd_ctl_ext_t *ext = calloc(1, sizeof(*ext));
	if (!ext)
		return -ENOMEM;
	ext->version = SND_CTL_EXT_VERSION;
	strcpy(ext->id, "simcard");
	strcpy(ext->driver, "simcard");
	strcpy(ext->name, "Simulated card");
	strcpy(ext->longname, "Simulated card");
	strcpy(ext->mixername, "Simulated card");
	ext->poll_fd = -1;
	ext->callback = &CALLBACKS;
	ext->tlv.p = SCALE;
	ext->private_data = strdup(state);
	int error = ext->private_data ? snd_ctl_ext_create(ext, name, mode) : -ENOMEM;
	if (error < 0) {
		close_mixer(ext);
		return error;
	}
	*handlep = ext->handle;
	return 0;
}
SND_CTL_PLUGIN_SYMBOL(simcard);
