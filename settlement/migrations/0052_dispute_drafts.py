"""Drafts of disputes, with their files."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('parties', '0023_people_guards'),
        ('settlement', '0051_dispute_guards'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('cdrs', models.JSONField(default=list, verbose_name='CDRs')),
                ('reason', models.CharField(blank=True, choices=[('wrong_price', 'the price is not that of the tariff'), ('wrong_energy', 'the energy is wrong'), ('wrong_duration', 'the duration is wrong'), ('unknown_token', 'the token is not known'), ('not_our_customer', 'not our customer'), ('duplicate', 'billed twice'), ('session_not_completed', 'the session was never completed'), ('charger_fault', 'the charger was faulty'), ('overlapping', 'overlaps another session'), ('location_mismatch', 'the place is wrong'), ('tax_error', 'VAT or currency is wrong'), ('late_cdr', 'it came too late'), ('tariff_not_agreed', 'the tariff was not agreed'), ('idle_fee', 'the idle fee is wrong'), ('fraud', 'fraud is suspected'), ('missing_cdr', 'another CDR is missing'), ('other', 'something else')], max_length=21, verbose_name='reason')),
                ('ask', models.CharField(blank=True, choices=[('full', 'full credit'), ('corrected', 'a corrected amount'), ('explanation', 'an explanation')], max_length=11, verbose_name='what is asked for')),
                ('amount', models.DecimalField(decimal_places=4, max_digits=18, null=True, verbose_name='amount')),
                ('message', models.TextField(blank=True, max_length=2000, verbose_name='message')),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='changed at')),
                ('about', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='drafts', to='settlement.dispute')),
                ('opened', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='opened_from', to='settlement.dispute')),
                ('party', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.party')),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'draft of a dispute',
                'verbose_name_plural': 'drafts of disputes',
                'ordering': ['-updated_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='DraftFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('content', models.BinaryField(verbose_name='content')),
                ('size', models.PositiveIntegerField(verbose_name='size (bytes)')),
                ('visible_to', models.CharField(choices=[('parties', 'both sides and the hub'), ('hub', 'only the hub and who has added it')], default='parties', max_length=7, verbose_name='visible to')),
                ('draft', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='files', to='settlement.draft')),
            ],
            options={
                'verbose_name': 'file of a draft',
                'verbose_name_plural': 'files of drafts',
                'ordering': ['pk'],
            },
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.UniqueConstraint(condition=models.Q(('about__isnull', False)), fields=('about', 'person'), name='one_draft_of_an_answer'),
        ),
        migrations.AddConstraint(
            model_name='draftfile',
            constraint=models.CheckConstraint(condition=models.Q(('size__gt', 0), ('size__lte', 10485760)), name='draft_file_not_too_large'),
        ),
    ]
