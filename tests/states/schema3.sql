BEGIN TRANSACTION;
CREATE TABLE commands (
	number INTEGER NOT NULL, 
	verb VARCHAR(16) NOT NULL, 
	job_id VARCHAR(16), 
	argument TEXT, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE history (
	number INTEGER NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	at BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "history" VALUES(1,'hxe6f7fm',1795864446179,'found','');
INSERT INTO "history" VALUES(2,'hxe6f7fm',1795864446440,'ready','');
INSERT INTO "history" VALUES(3,'hxe6f7fm',1795864446440,'submitting','');
INSERT INTO "history" VALUES(4,'hxe6f7fm',1795864446493,'rendering','');
INSERT INTO "history" VALUES(5,'hxe6f7fm',1795864446712,'rendered','');
INSERT INTO "history" VALUES(6,'hxe6f7fm',1795864446728,'delivered','');
INSERT INTO "history" VALUES(7,'hxe6f7fm',1795864446742,'done','');
INSERT INTO "history" VALUES(8,'mja2hn66',1795864446882,'found','');
INSERT INTO "history" VALUES(9,'mja2hn66',1795864447078,'ready','');
CREATE TABLE jobs (
	id VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	folder BLOB NOT NULL, 
	image BLOB NOT NULL, 
	image_size BIGINT NOT NULL, 
	image_mtime_ns BIGINT NOT NULL, 
	sidecar BLOB, 
	sidecar_size BIGINT, 
	sidecar_mtime_ns BIGINT, 
	created_at BIGINT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	prompt TEXT, 
	model TEXT, 
	size VARCHAR(32), 
	seconds INTEGER, 
	fit VARCHAR(16), 
	focus VARCHAR(64), 
	priority INTEGER NOT NULL, 
	order_key VARCHAR(64), 
	likeness VARCHAR(64), 
	attempts INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	mend TEXT NOT NULL, 
	obstacle TEXT DEFAULT '' NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	note TEXT NOT NULL, 
	price BIGINT, 
	token VARCHAR(64), 
	submitted_at BIGINT, 
	lost_at BIGINT, 
	misses INTEGER NOT NULL, 
	losses INTEGER DEFAULT '0' NOT NULL, 
	video_id TEXT, 
	progress INTEGER, 
	generations INTEGER NOT NULL, 
	charged VARCHAR(8) NOT NULL, 
	clip BLOB, 
	filed BLOB NOT NULL, 
	lease_owner VARCHAR(128), 
	lease_until BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('hxe6f7fm','done',X'',X'62656163682E6A7067',3194,1000000000000000000,X'62656163682E79616D6C',37,1000000000000000000,1795864446179,1795864446742,1795864446742,'the beach at dawn','sora-2','1280x720',8,'crop','centre',0,'c71ced563bd09d0d957d2da0a399ecc560ce19d8d14f733c1d5753b588533313','ab3dcbd36ae402ebbaa374d2afb6ada7ef2c9ccf5a90be6295866a43144a5cb0',0,'','','','106b078f405a23498cf089aa16787f48432c750aca262a02ccf55bd063661469','upscaled 4.0×',800000,'cd84c3557278ab8633ea587be3ba660d',1795864446440,NULL,0,0,'video_23e911d931808722615d8a8c316557d6',100,0,'yes',X'62656163682E6D7034',X'62656163682E6A70670062656163682E79616D6C',NULL,NULL);
INSERT INTO "jobs" VALUES('mja2hn66','ready',X'',X'686172626F75722E6A7067',2908,1000000000000000000,X'686172626F75722E79616D6C',39,1000000000000000000,1795864446882,1795864447078,1795864447078,'the harbour at dawn','sora-2','1280x720',8,'crop','centre',0,'2ca9d716a056ca2f8ebd400bd156681481e253a2ba47e4baad8645d079bda55e','fc2e26af7e1f41f6226b96e56b3ab7d845ca0a32da3a893d3060271e80f0974b',0,'','','','71c922847f1fbfa4af8bd0041e88c6f0782e7324b16c2c6f3055c707f7aeff3f','upscaled 4.0×',NULL,NULL,NULL,NULL,0,0,NULL,NULL,0,'no',NULL,X'',NULL,NULL);
CREATE TABLE notes (
	"key" VARCHAR(32) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "notes" VALUES('schema','3');
CREATE TABLE purchases (
	token VARCHAR(64) NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	order_key VARCHAR(64) NOT NULL, 
	likeness VARCHAR(64) NOT NULL, 
	at BIGINT NOT NULL, 
	micros BIGINT, 
	standing VARCHAR(16) NOT NULL, 
	video_id TEXT, 
	folder BLOB, 
	image BLOB, 
	model TEXT, 
	size VARCHAR(32), 
	seconds INTEGER, 
	clip BLOB, 
	PRIMARY KEY (token)
);
INSERT INTO "purchases" VALUES('cd84c3557278ab8633ea587be3ba660d','hxe6f7fm','c71ced563bd09d0d957d2da0a399ecc560ce19d8d14f733c1d5753b588533313','ab3dcbd36ae402ebbaa374d2afb6ada7ef2c9ccf5a90be6295866a43144a5cb0',1795864446440,800000,'spent','video_23e911d931808722615d8a8c316557d6',X'',X'62656163682E6A7067','sora-2','1280x720',8,X'62656163682E6D7034');
CREATE INDEX jobs_by_likeness ON jobs (likeness, state);
CREATE INDEX jobs_by_order ON jobs (order_key);
CREATE INDEX jobs_by_state ON jobs (state, due_at);
CREATE INDEX purchases_by_order ON purchases (order_key);
CREATE INDEX purchases_by_video ON purchases (video_id);
CREATE INDEX purchases_by_likeness ON purchases (likeness);
CREATE INDEX purchases_by_time ON purchases (at);
CREATE INDEX ix_history_job_id ON history (job_id);
COMMIT;
